"""Questions that the gateway can answer itself, with an estimate: how many tokens a prompt has.

Whose model would answer the prompt is asked where it can count. Where it can't, or fails to, the estimate stands in: a client
that only wants to know a size is not to be turned away for a provider's bad day. It fails open, but for what is wrong with
the request itself.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Final

from gateway.core.errors import CapacityError, Rejected, UpstreamError
from gateway.core.exchange import Exchange
from gateway.dialects import ESTIMATED
from gateway.pools.route_plan import RoutePlan
from gateway.providers.transport import UpstreamResponse
from gateway.snapshot import Services, Snapshot
from gateway.upstream.attempt import Upstream
from gateway.upstream.dispatcher import dispatch

CAN_T_COUNT: Final = frozenset({404, 405})  # statuses of servers that take messages and do not count


async def counted(
    exchange: Exchange, path: RoutePlan, snapshot: Snapshot, services: Services
) -> AbstractContextManager[Upstream]:
    """Give the count of whoever would answer, else our estimate, which says that it is one. See `dispatch`."""
    if not path.stages or any(exchange.path in target.bindings for target in path.stages[0].targets):
        try:
            return await dispatch(exchange, path, snapshot, services)
        except (UpstreamError, CapacityError) as error:
            if not path.stages or (isinstance(error, Rejected) and error.upstream_status not in CAN_T_COUNT):
                raise
    return nullcontext(_estimated(exchange, path))


def _estimated(exchange: Exchange, path: RoutePlan) -> Upstream:
    request = exchange.request
    assert request is not None
    body = ESTIMATED[exchange.path].encode_estimate(request.tokens)
    return Upstream(path.stages[0].targets[0], OwnAnswer(), body=body)


class OwnAnswer(UpstreamResponse):
    """An answer that nobody was asked for: a head without a connection, whose body is at hand."""

    def __init__(self) -> None:
        self.status = 200
        self.headers = {b"content-type": b"application/json", b"x-gateway-estimated": b"true"}

    def close(self) -> None:
        """There is nothing to let go of."""

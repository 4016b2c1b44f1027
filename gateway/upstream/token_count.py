"""Token counts: asked of the provider that would answer the prompt, estimated by the gateway where it can't count.

A client that wants to know a size is not refused because a provider has a bad day: this fails open, except for what is wrong
with the request itself, and for a key that the provider refuses: only the operator can mend that, so it must not look well.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Final

from gateway.core.errors import CapacityError, CredentialRefused, Rejected, UpstreamError
from gateway.core.exchange import Exchange
from gateway.core.response import Response
from gateway.dialects import ESTIMATED
from gateway.pools.route_plan import RoutePlan
from gateway.snapshot import Services, Snapshot
from gateway.upstream.dispatcher import dispatch

CAN_T_COUNT: Final = frozenset({404, 405})  # statuses of servers that take messages and do not count
ESTIMATE_HEADERS: Final = {b"content-type": b"application/json", b"x-gateway-estimated": b"true"}


async def count_tokens(
    exchange: Exchange, plan: RoutePlan, snapshot: Snapshot, services: Services
) -> AbstractContextManager[Response]:
    """Return the provider's count, else the gateway's estimate, which says that it is one. Raises as `dispatch` does."""
    if not plan.stages or any(exchange.path in target.bindings for target in plan.stages[0].targets):
        try:
            return await dispatch(exchange, plan, snapshot, services)
        except (UpstreamError, CapacityError) as error:
            if not plan.stages or isinstance(error, CredentialRefused):
                raise
            if isinstance(error, Rejected) and error.upstream_status not in CAN_T_COUNT:
                raise
    request = exchange.request
    assert request is not None
    body = ESTIMATED[exchange.path].encode_estimate(request.tokens)
    return nullcontext(Response(200, ESTIMATE_HEADERS, body=body, origin="gateway"))

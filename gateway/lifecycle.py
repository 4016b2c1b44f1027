"""The lifecycle of one request, from arrival to account; every kind of request runs through it.

identify → check capacity → read → match → obtain → send → settle → report. A further stage, such as limits between match and
obtain, is written here, once, and holds for every kind: chat and embeddings, token counts, pass-through, lists of models.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from gateway.accounting.cost import settle
from gateway.core.chat import ChatRequest
from gateway.core.errors import GatewayError
from gateway.core.exchange import Exchange
from gateway.core.response import Response
from gateway.pools.route_plan import RoutePlan
from gateway.snapshot import Services, Snapshot


class Client(Protocol):
    """The client's side. Its methods write `timeline.committed_at` and `status` of the exchange, which only it knows."""

    def keep_alive(self, plan: RoutePlan) -> None:
        """Send keep-alive comments before the first content where the route has `keepalive: {early: true}` (and so commit)."""
        ...

    def send(self, response: Response) -> Awaitable[None] | None:
        """Send a response that has a whole body: the commit point.

        Return what sends the rest of a long one, as the client takes it; that raises `ClientStalled`.
        """
        ...

    async def relay(self, response: Response) -> None:
        """Send a response as it comes; its first byte is the commit point. Raises `UpstreamError`."""
        ...

    def fail(self, error: GatewayError) -> None:
        """Send an error: an HTTP status before the commit point, an event of the stream after it."""
        ...


C = TypeVar("C", bound=Client, contravariant=True)


class RequestKind(Protocol[C]):
    """What differs between kinds of requests: what is read of them, how they are routed, where the response comes from."""

    def read(self, client: C) -> Awaitable[ChatRequest]:
        """Return the request, its body read and checked where this kind has one. Raises `CallerError`."""
        ...

    def match(self, exchange: Exchange, snapshot: Snapshot, wall_s: float) -> RoutePlan:
        """Return where the request goes. Raises `CallerError`, such as `ModelNotFound`."""
        ...

    def obtain(
        self, exchange: Exchange, plan: RoutePlan, snapshot: Snapshot, services: Services, client: C
    ) -> Awaitable[AbstractContextManager[Response]]:
        """Return the response, to be entered and left, once it can be sent. Raises `GatewayError`."""
        ...


async def serve(
    exchange: Exchange, snapshot: Snapshot, services: Services, kind: RequestKind[Any], client: Client
) -> None:
    """Take one request from arrival to account, on the snapshot that it began with.

    Every error is sent to the client. Two things are raised: the cancellation that means that the client left, and a failure
    of the gateway itself, which the edge answers with 500.
    """
    try:
        exchange.principal = snapshot.auth.identify(exchange.headers)
        services.check_capacity()
        exchange.request = await kind.read(client)
        plan = kind.match(exchange, snapshot, services.clock.wall())
        exchange.decision = plan.decision
        client.keep_alive(plan)
        rest: Awaitable[None] | None = None
        with await kind.obtain(exchange, plan, snapshot, services, client) as response:
            if response.body is not None:
                settle(exchange, snapshot.prices)  # the headers of a whole response name its cost
                rest = client.send(response)
            else:
                await client.relay(response)
            for tap in response.taps:
                tap.finish()
        if rest is not None:  # the endpoint has done its part: its place is free
            await rest
        exchange.outcome = "ok"
    except GatewayError as error:
        exchange.outcome, exchange.error = "failed", error
        client.fail(error)
    except asyncio.CancelledError:
        if exchange.cut is None:
            exchange.outcome, exchange.status = "abandoned", exchange.status or 499
            raise
        exchange.outcome, exchange.error = "failed", exchange.cut
        client.fail(exchange.cut)
    except BaseException:
        exchange.outcome, exchange.status = "failed", exchange.status or 500
        raise
    finally:
        exchange.timeline.finish()
        settle(exchange, snapshot.prices)
        services.reporter.report(exchange)

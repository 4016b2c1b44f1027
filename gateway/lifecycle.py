"""The line that a request takes, from arrival to account. Everything else is a part of one of these steps."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Protocol

from gateway.accounting.cost import charge
from gateway.core.chat import ChatRequest
from gateway.core.errors import GatewayError
from gateway.core.exchange import Exchange
from gateway.pools.route_plan import RoutePlan
from gateway.snapshot import Services, Snapshot
from gateway.upstream.dispatcher import Upstream, dispatch


class Client(Protocol):
    """The other end: asked for its request once it is known who it is, then given the answer.

    Its methods write `committed_at` and `status` of the exchange, which only they can know.
    """

    async def read(self) -> ChatRequest:
        """Invite, read and check the body. Raises `CallerError`."""
        ...

    def expect(self, path: RoutePlan) -> None:
        """Send signs of life before the first content, where the route wants that (and so commit)."""
        ...

    def send(self, body: bytes, upstream: Upstream) -> None:
        """Give an unstreamed answer, whole."""
        ...

    async def relay(self, upstream: Upstream) -> None:
        """Give a streamed answer as it comes; its first byte is the commit point. Raises `UpstreamError`."""
        ...

    def fail(self, error: GatewayError) -> None:
        """Give an error: a status before the commit point, an event of the stream after it."""
        ...


Obtain = Callable[[Exchange, RoutePlan, Snapshot, Services], Awaitable[AbstractContextManager[Upstream]]]
"""How an answer is got, to be entered and left: by `dispatch`, or by what stands in front of it."""


async def serve(
    exchange: Exchange, snapshot: Snapshot, services: Services, client: Client, obtain: Obtain = dispatch
) -> None:
    """Take one request from arrival to account. What goes wrong is told to the client; only its leaving passes through.

    A request runs to its end on the snapshot that it began with.
    """
    try:
        exchange.principal = snapshot.auth.identify(exchange.headers)
        services.check_room()
        exchange.request = await client.read()
        match = snapshot.router.match(exchange.request, exchange.headers, exchange.principal, services.clock.wall())
        exchange.route, path = match.route, snapshot.paths[match]
        client.expect(path)
        with await obtain(exchange, path, snapshot, services) as upstream:
            if upstream.body is not None:
                exchange.meter.usage, exchange.cost_picodollars = charge(exchange, snapshot.prices)
                client.send(upstream.body, upstream)
            else:
                await client.relay(upstream)
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
    except BaseException:  # a failure of our own: the edge answers 500
        exchange.outcome, exchange.status = "failed", exchange.status or 500
        raise
    finally:
        exchange.finished_at = services.clock.monotonic()
        exchange.meter.usage, exchange.cost_picodollars = charge(exchange, snapshot.prices)
        services.reporter.file(exchange)

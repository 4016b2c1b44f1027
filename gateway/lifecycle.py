"""The line that a request takes, from arrival to account. Everything else is a part of one of these steps."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Protocol

from gateway.accounting.cost import charge
from gateway.core.chat import ChatRequest
from gateway.core.errors import GatewayError
from gateway.core.exchange import Exchange
from gateway.pools.endpoint import Path
from gateway.snapshot import Services, Snapshot
from gateway.upstream.dispatcher import Upstream, dispatch


class Client(Protocol):
    """The other end: asked for its request once it is known who it is, then given the answer.

    Its methods write `committed_at` and `status` of the exchange, which only they can know.
    """

    async def read(self) -> ChatRequest:
        """Invite, read and check the body. Raises `CallerError`."""
        ...

    def expect(self, path: Path) -> None:
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


Obtain = Callable[[Exchange, Path, Snapshot, Services], Awaitable[AbstractContextManager[Upstream]]]
"""How an answer is got, to be entered and left: by `dispatch`, or by what stands in front of it."""


async def serve(x: Exchange, snapshot: Snapshot, services: Services, client: Client, obtain: Obtain = dispatch) -> None:
    """Take one request from arrival to account. What goes wrong is told to the client; only its leaving passes through.

    A request runs to its end on the snapshot that it began with.
    """
    try:
        x.principal = snapshot.auth.identify(x.headers)
        services.check_room()
        x.request = await client.read()
        match = snapshot.router.match(x.request, x.headers, x.principal, services.clock.wall())
        x.route, path = match.route, snapshot.paths[match]
        client.expect(path)
        with await obtain(x, path, snapshot, services) as upstream:
            if upstream.body is not None:
                x.meter.usage, x.cost_picodollars = charge(x, snapshot.prices)
                client.send(upstream.body, upstream)
            else:
                await client.relay(upstream)
        x.outcome = "ok"
    except GatewayError as error:
        x.outcome, x.error = "failed", error
        client.fail(error)
    except asyncio.CancelledError:
        if x.cut is None:
            x.outcome, x.status = "abandoned", x.status or 499
            raise
        x.outcome, x.error = "failed", x.cut
        client.fail(x.cut)
    except BaseException:  # a failure of our own: the edge answers 500
        x.outcome, x.status = "failed", x.status or 500
        raise
    finally:
        x.finished_at = services.clock.monotonic()
        x.meter.usage, x.cost_picodollars = charge(x, snapshot.prices)
        services.reporter.file(x)

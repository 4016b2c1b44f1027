"""The public listener as a worker starts it, over a transport that replays."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from aiohttp import web

from gateway.api.app import make_runner
from gateway.api.connection import ClientServer
from tests.support.clock import FakeClock
from tests.support.replay import ReplayWorker
from tests.support.serving import OPEN_CONFIG, ServeText, Serving, loopback_listener


@pytest.fixture
async def serve_text(clock: FakeClock) -> AsyncIterator[ServeText]:
    """Serve a configuration; gives the line and the port."""
    async with AsyncExitStack() as stack:

        async def serve(text: str) -> Serving:
            line = ReplayWorker(text, clock)
            runner = make_runner(line.services)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            listener = loopback_listener()
            await web.SockSite(runner, listener).start()
            assert isinstance(runner.server, ClientServer)
            return Serving(line, listener.getsockname()[1], runner.server)

        yield serve


@pytest.fixture
async def serving(serve_text: ServeText) -> Serving:
    """A gateway without tenants: `auto` goes to one endpoint, then to another."""
    return await serve_text(OPEN_CONFIG)

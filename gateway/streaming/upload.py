"""From the client to the provider, in pieces: the body of a request that is never held whole.

A piece is read only when the provider has taken the one before, so that between the two there is nothing but the sockets'
buffers, one piece, and what aiohttp reads ahead.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from gateway.core.errors import GatewayError, UpstreamTimeout
from gateway.core.faults import Fault
from gateway.core.tasks import Tasks
from gateway.streaming.timers import AttemptTimers

LAST_CHUNK = b"0\r\n\r\n"


class Outlet(Protocol):
    """The provider's side: the response that is awaited."""

    timers: AttemptTimers

    def write_body(self, data: bytes) -> "asyncio.Future[None] | None":
        """Send a piece; return a future that is done once there is room for more, None where there is."""
        ...

    def body_sent(self) -> None: ...

    def fail(self, error: GatewayError) -> None: ...


class Upload:
    """One body. `read` returns its next piece, b"" at the end, and raises the error of a faulty one.

    `size` in bytes, None if unknown: then the body is sent in chunks. `has_begun`: a provider may have received part of it; the
    request is not replayable.
    """

    __slots__ = ("_read", "_task", "_tasks", "has_begun", "size")

    def __init__(self, read: Callable[[], Awaitable[bytes]], tasks: Tasks, size: int | None) -> None:
        self._read = read
        self._tasks = tasks
        self.size = size
        self._task: asyncio.Task[None] | None = None
        self.has_begun = False

    def start(self, outlet: Outlet) -> None:
        """Start sending, in a task of the worker; an error ends the response."""
        self.has_begun = True
        self._task = self._tasks.start(self._run(outlet), "upload")

    def stop(self) -> None:
        """Stop reading and sending."""
        if self._task is not None:
            self._task.cancel()

    async def ended(self) -> None:
        """Wait until reading has ended: one client has one reader. Returns at once, or soon after `stop`."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _run(self, outlet: Outlet) -> None:
        try:
            while piece := await self._read():
                await self._send(outlet, piece if self.size is not None else b"%x\r\n%b\r\n" % (len(piece), piece))
            if self.size is None:
                outlet.write_body(LAST_CHUNK)
            outlet.body_sent()
        except GatewayError as error:
            outlet.fail(error)

    async def _send(self, outlet: Outlet, data: bytes) -> None:
        """Send, and wait until the provider has taken enough of it."""
        room = outlet.write_body(data)
        if room is None:
            return
        try:
            async with asyncio.timeout(outlet.timers.idle_s):
                await room
        except TimeoutError:
            message = "the provider took nothing in time (idle clock)"
            raise UpstreamTimeout(message, code="idle_timeout", fault=Fault.IDLE) from None

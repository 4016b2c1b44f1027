"""Play a script to an HTTP client.

aiohttp reads the requests and manages the connections. The response is written directly to the transport, because
aiohttp's response classes refuse to send invalid HTTP. Each write waits until the client has taken the previous one, so
nothing accumulates here.
"""

import asyncio
import fcntl
import socket
import struct
import termios
from collections.abc import Iterable
from typing import Any, Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from gateway.core.clock import Clock
from gateway.simulator.framing import ConnectionFault, Step, WaitUntil
from gateway.simulator.stats import Counts

STEPS_PER_TURN: Final = 32
POLL_S: Final = 0.001
MAX_POLLS: Final = 5000


class AlreadySent(web.StreamResponse):
    """A response that has been written already; aiohttp requires an object to return."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        self._keep_alive = request.keep_alive
        return None

    async def write_eof(self, data: Any = b"") -> None:
        """Write nothing: the body is complete."""


async def play(
    steps: Iterable[Step], request: web.Request, clock: Clock, began: float, counters: tuple[Counts, Counts]
) -> None:
    """Play to the end; `began` is the time when the request had been read. Raises ConnectionError if the client has left."""
    transport = _transport(request)
    transport.set_write_buffer_limits(high=0)
    for number, step in enumerate(steps):
        if number % STEPS_PER_TURN == 0:
            # A stream at full speed must neither starve other requests nor miss that its client left.
            await asyncio.sleep(0)
        if isinstance(step, bytes):
            _transport(request).write(step)
            for counts in counters:
                counts.bytes += len(step)
            await request.writer.drain()
        elif isinstance(step, WaitUntil):
            await asyncio.sleep(began + step.seconds - clock.monotonic())
        elif step is ConnectionFault.STALL:
            await asyncio.get_running_loop().create_future()
        elif step is ConnectionFault.CLOSE:
            _transport(request).close()
        else:
            await _reset(_transport(request))


def _transport(request: web.Request) -> asyncio.Transport:
    if request.transport is None or request.transport.is_closing():
        raise ConnectionResetError("the client has left")
    return request.transport


async def _reset(transport: asyncio.Transport) -> None:
    """Drop the connection as a crash would: over TCP with a reset instead of an orderly close.

    A reset also discards bytes that the peer's kernel has not acknowledged, so wait for those first: all bytes of the
    script have to arrive.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family != socket.AF_UNIX:
        for _ in range(MAX_POLLS):
            if not _unsent(sock.fileno()):
                break
            await asyncio.sleep(POLL_S)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _unsent(fd: int) -> int:
    """Return how many bytes the peer has not acknowledged (SIOCOUTQ)."""
    count: int = struct.unpack("i", fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4)))[0]
    return count

"""Play a script to an HTTP client.

aiohttp reads requests and keeps connections in order; the answer's bytes are written past its response classes, which
would refuse to be wrong. A write waits until the client has taken the one before: nothing piles up here.
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
    """Stands for an answer that is on the wire already."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        self._keep_alive = request.keep_alive
        return None

    async def write_eof(self, data: Any = b"") -> None:
        """Nothing is left to write."""


async def play(
    steps: Iterable[Step], request: web.Request, clock: Clock, began: float, counters: tuple[Counts, Counts]
) -> None:
    """Play to the end; `began` is when the request had been read. Raises ConnectionError where the client has left."""
    transport = _transport(request)
    transport.set_write_buffer_limits(high=0)
    for number, step in enumerate(steps):
        if number % STEPS_PER_TURN == 0:
            # A stream at full speed must not starve the others, nor miss that its client left.
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
    """Drop the connection as a crash would: over TCP with a reset instead of an orderly end.

    A reset also drops what the other side's kernel has not got yet; so that a script's bytes all arrive, they are
    waited for first.
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
    """Give how many bytes the other side has not acknowledged (SIOCOUTQ)."""
    count: int = struct.unpack("i", fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4)))[0]
    return count

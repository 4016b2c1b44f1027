"""The listeners that a worker accepts on: its own, and for a while those of a sibling that is not there.

Where clients hold as many connections as there are descriptors for, all doors close until some have left: who comes
meanwhile waits in the kernel's queue, and requests that run still find descriptors for their providers. Should
descriptors run out nevertheless (a burst within one turn of the loop), libuv takes the connections that it can't keep and
closes them at once; the loop does not spin, and the listener lives on.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ssl import SSLContext
from typing import Final

from gateway.core.tasks import Tasks
from gateway.runtime.listeners import BACKLOG

log = logging.getLogger(__name__)

LOOK_S: Final = 0.05
HANDSHAKE_S: Final = 5.0  # in TLS; whoever takes longer is cut, as with the head of a request
FAREWELL_S: Final = 2.0  # for a client to end TLS in its own terms
ROOM: Final = 0.95  # of the most: so few connections before the doors open again


@dataclass(frozen=True, slots=True)
class Acceptor:
    """One listening socket, and what is spoken behind it."""

    listener: socket.socket
    tls: SSLContext | None = None


@dataclass(frozen=True, slots=True)
class ConnectionFactory:
    """Those whom the doors are for: `welcome` gives the protocol of a new connection, `count` tells how many there are."""

    welcome: Callable[[], asyncio.BaseProtocol]
    count: Callable[[], int]


class Acceptors:
    """Accepts connections, up to `most` at the same time. Nothing is open before `open`."""

    def __init__(self, acceptors: Sequence[Acceptor], connections: ConnectionFactory, most: int, tasks: Tasks) -> None:
        self._acceptors = acceptors
        self._connections = connections
        self._most = most
        self._tasks = tasks
        self._open: dict[int, asyncio.Server] = {}
        self._wanted: frozenset[int] = frozenset()
        self._arriving = 0  # accepted, and not yet counted
        self._is_full = self._is_stopped = False
        self._lock = asyncio.Lock()

    async def open(self, wanted: Iterable[int]) -> None:
        """Accept on these doors, given by their places in the sequence, and on no others."""
        self._wanted = frozenset(wanted)
        await self._settle()

    async def stop(self) -> None:
        """Accept nothing any more, and let go of every listener."""
        self._is_stopped = True
        await self._settle()
        for acceptor in self._acceptors:
            acceptor.listener.close()

    async def _settle(self) -> None:
        async with self._lock:  # one change at a time
            wanted = frozenset() if self._is_full or self._is_stopped else self._wanted
            for index in self._open.keys() - wanted:
                self._open.pop(index).close()
            for index in wanted - self._open.keys():
                self._open[index] = await self._accept_on(self._acceptors[index])

    async def _accept_on(self, acceptor: Acceptor) -> asyncio.Server:
        """Listen on a copy: closing it must not close what may be wanted again."""
        loop, listener = asyncio.get_running_loop(), acceptor.listener.dup()
        if acceptor.tls is None:
            return await loop.create_server(self._greet, sock=listener, backlog=BACKLOG)
        return await loop.create_server(
            self._greet,
            sock=listener,
            backlog=BACKLOG,
            ssl=acceptor.tls,
            ssl_handshake_timeout=HANDSHAKE_S,
            ssl_shutdown_timeout=FAREWELL_S,
        )

    def _greet(self) -> asyncio.BaseProtocol:
        self._arriving += 1
        asyncio.get_running_loop().call_soon(self._arrived)
        if self._count() >= self._most and not self._is_full:
            self._is_full = True
            self._tasks.start(self._wait_for_room(), "wait for room")
        return self._connections.welcome()

    def _arrived(self) -> None:
        self._arriving -= 1

    def _count(self) -> int:
        return self._connections.count() + self._arriving

    async def _wait_for_room(self) -> None:
        log.warning("no descriptors for more connections, they wait", extra={"connections": self._count()})
        await self._settle()
        while True:
            await asyncio.sleep(LOOK_S)
            if self._count() <= self._most * ROOM:
                break
        self._is_full = False
        await self._settle()
        log.info("connections are taken again", extra={"connections": self._count()})

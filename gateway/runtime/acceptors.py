"""The listeners that a worker accepts on: its own, and for a while those of an absent sibling.

When clients hold as many connections as there are descriptors for, all listeners pause until some have left. New
connections wait in the kernel's backlog, and running requests still get descriptors for their providers. If descriptors
run out nevertheless (a burst within one iteration of the loop), libuv accepts the connections that it can't keep and
closes them at once; the loop does not spin, and the listener stays usable.
"""

import asyncio
import logging
import resource
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ssl import SSLContext
from typing import Final

from gateway.core.tasks import Tasks
from gateway.runtime.listeners import BACKLOG

log = logging.getLogger(__name__)

CHECK_S: Final = 0.05
HANDSHAKE_S: Final = 5.0  # in TLS; a slower connection is closed, as with the head of a request
TLS_SHUTDOWN_S: Final = 2.0  # for a client to close TLS by itself
RESUME_SHARE: Final = 0.95  # of `max_connections`: at so few connections the listeners accept again

RESERVED_DESCRIPTORS: Final = 64  # of the process itself: listeners, bus, log, files
MIN_CONNECTIONS: Final = 16


@dataclass(frozen=True, slots=True)
class Acceptor:
    """One listening socket, and its TLS context where it has TLS."""

    listener: socket.socket
    tls: SSLContext | None = None


@dataclass(frozen=True, slots=True)
class ConnectionFactory:
    """The server behind the listeners: `create` makes the protocol of a new connection, `count` returns how many exist."""

    create: Callable[[], asyncio.BaseProtocol]
    count: Callable[[], int]


class Acceptors:
    """Accepts up to `max_connections` connections at the same time. Nothing is open before `open`."""

    def __init__(
        self, acceptors: Sequence[Acceptor], connections: ConnectionFactory, max_connections: int, tasks: Tasks
    ) -> None:
        self._acceptors = acceptors
        self._connections = connections
        self._max_connections = max_connections
        self._tasks = tasks
        self._open: dict[int, asyncio.Server] = {}
        self._wanted: frozenset[int] = frozenset()
        self._arriving = 0  # accepted, and not counted yet
        self._is_full = self._is_stopped = False
        self._lock = asyncio.Lock()

    async def open(self, wanted: Iterable[int]) -> None:
        """Accept on these listeners, given by their indexes in the sequence, and on no others."""
        self._wanted = frozenset(wanted)
        await self._apply()

    async def stop(self) -> None:
        """Stop accepting, and close every listener."""
        self._is_stopped = True
        await self._apply()
        for acceptor in self._acceptors:
            acceptor.listener.close()

    async def _apply(self) -> None:
        async with self._lock:  # one change at a time
            wanted = frozenset() if self._is_full or self._is_stopped else self._wanted
            for index in self._open.keys() - wanted:
                self._open.pop(index).close()
            for index in wanted - self._open.keys():
                self._open[index] = await self._accept_on(self._acceptors[index])

    async def _accept_on(self, acceptor: Acceptor) -> asyncio.Server:
        """Listen on a copy: closing it must not close the listener, which may be wanted again."""
        loop, listener = asyncio.get_running_loop(), acceptor.listener.dup()
        if acceptor.tls is None:
            return await loop.create_server(self._create_connection, sock=listener, backlog=BACKLOG)
        return await loop.create_server(
            self._create_connection,
            sock=listener,
            backlog=BACKLOG,
            ssl=acceptor.tls,
            ssl_handshake_timeout=HANDSHAKE_S,
            ssl_shutdown_timeout=TLS_SHUTDOWN_S,
        )

    def _create_connection(self) -> asyncio.BaseProtocol:
        self._arriving += 1
        asyncio.get_running_loop().call_soon(self._note_counted)
        if self._count() >= self._max_connections and not self._is_full:
            self._is_full = True
            self._tasks.start(self._wait_for_room(), "wait for room")
        return self._connections.create()

    def _note_counted(self) -> None:
        self._arriving -= 1

    def _count(self) -> int:
        return self._connections.count() + self._arriving

    async def _wait_for_room(self) -> None:
        log.warning("no descriptors for more connections, they wait", extra={"connections": self._count()})
        await self._apply()
        while True:
            await asyncio.sleep(CHECK_S)
            if self._count() <= self._max_connections * RESUME_SHARE:
                break
        self._is_full = False
        await self._apply()
        log.info("connections are taken again", extra={"connections": self._count()})


def most_connections() -> int:
    """Return how many client connections fit under the limit of descriptors: each may need a second one to its provider."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        soft = 2**20
    return max(MIN_CONNECTIONS, (soft - RESERVED_DESCRIPTORS) // 2)

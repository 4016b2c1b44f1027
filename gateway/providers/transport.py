"""The HTTP/1.1 client: pooled connections to providers, and answers that are pushed as they arrive.

Written for this path alone, because a general client is the largest single cost of a proxy. Two rules keep it honest.
What belongs to one answer lives in `UpstreamResponse`, never on the pooled connection, so a late byte can't reach another client.
And a connection goes back to the pool only when its answer's message is complete; in every other case it is closed.

Read on in `connection.py` (what is believed of an answer), `answer.py`, and `connect.py` (how a connection comes about).
aiohttp's own client is not used here, and `httptools` is imported in `connection.py` only.
"""

import asyncio
import random
from collections import deque
from collections.abc import Collection
from typing import Final

from gateway.core.errors import ProtocolError, Unavailable
from gateway.providers.addresses import Lookup
from gateway.providers.connect import Connector
from gateway.providers.connection import HEAD_LIMIT, Connection
from gateway.providers.origin import Origin, Proxy
from gateway.providers.response import EARLY_LIMIT, Sink, Upload, UpstreamResponse, WireRequest

__all__ = [
    "EARLY_LIMIT",
    "HEAD_LIMIT",
    "Origin",
    "Proxy",
    "Sink",
    "Transport",
    "Upload",
    "UpstreamResponse",
    "WireRequest",
]

IDLE_LIMIT_S: Final = 15.0  # providers close idle connections after 5 to 75 s; sooner is safer
IDLE_LIMIT: Final = 1024  # connections kept for one origin
LIFE_S: Final = 600.0  # an older connection is not used again, so that addresses that have gone are left
LIFE_SPREAD: Final = 0.2  # share of that by which lives differ, lest all be renewed at once


class _Pool:
    """The idle connections of one origin; the one used last is taken first, so that the others can grow old."""

    def __init__(self) -> None:
        self._idle: deque[Connection] = deque()
        self._is_closed = False
        self.surplus = 0
        self.stale = 0

    def close(self) -> None:
        """Close what is idle now, and what comes back later."""
        self._is_closed = True
        self.close_idle_before(float("inf"))

    def take(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
            connection.abort()
        return None

    def give_back(self, connection: Connection) -> None:
        now = connection.loop.time()
        if self._is_closed or now >= connection.retire_at or len(self._idle) >= IDLE_LIMIT:
            connection.abort()
            return
        connection.idle_since = now
        self._idle.append(connection)

    def forget(self, connection: Connection) -> None:
        if self._idle and connection in self._idle:
            self._idle.remove(connection)

    def count_unrequested_data(self) -> None:
        self.surplus += 1

    def close_idle_before(self, moment: float) -> None:
        while self._idle and self._idle[0].idle_since <= moment:
            self._idle.popleft().abort()


class Transport:
    """Sends requests to origins over pooled connections. Lives as long as its worker; `close` ends all of it."""

    def __init__(self, rng: random.Random | None = None, lookup: Lookup | None = None) -> None:
        self._pools: dict[Origin, _Pool] = {}
        self._connector = Connector(lookup)
        self._rng = rng or random.Random()
        self._reaper: asyncio.TimerHandle | None = None
        self._closed_counts = (0, 0)  # the counts of pools that are gone

    @property
    def counts(self) -> tuple[int, int]:
        """How often bytes came that nobody had asked for, and how often a request was sent once more, so far."""
        pools = self._pools.values()
        return self._closed_counts[0] + sum(one.surplus for one in pools), self._closed_counts[1] + sum(
            one.stale for one in pools
        )

    async def send(self, request: WireRequest) -> UpstreamResponse:
        """Send a request and wait for the head of its answer.

        A pooled connection that the provider had closed meanwhile, or on which something came that is no answer, is not
        a failure: nothing was processed, so the request is sent once more on a new one. Raises `UpstreamError`; when
        this is cancelled the connection is closed.

        A body that is uploaded can't be sent twice, so it always gets a new connection. It begins to flow when that stands.
        """
        pool = self._pools.get(request.origin)
        if pool is None:
            pool = self._pools[request.origin] = _Pool()
        pooled = pool.take() if request.upload is None else None
        while True:
            connection = pooled or await self._connect(request.origin, pool, request.timeouts.connect_s)
            response = connection.send(request)
            if request.upload is not None:
                request.upload.start(response)
            try:
                await response.head
                return response
            except (Unavailable, ProtocolError):
                if pooled is None or pooled.has_responded:
                    raise
                pool.stale += 1
                pool.close_idle_before(pooled.idle_since)  # they are stale as well
                pooled = None
            except BaseException:
                response.close()
                raise

    async def _connect(self, origin: Origin, pool: _Pool, connect_s: float | None) -> Connection:
        loop = asyncio.get_running_loop()
        if self._reaper is None:
            self._reaper = loop.call_later(IDLE_LIMIT_S / 2, self._reap)
        life_s = LIFE_S * (1 - LIFE_SPREAD * self._rng.random())
        return await self._connector.open(origin, lambda: Connection(pool, loop, loop.time() + life_s), connect_s)

    def _reap(self) -> None:
        loop = asyncio.get_running_loop()
        for pool in self._pools.values():
            pool.close_idle_before(loop.time() - IDLE_LIMIT_S)
        self._reaper = loop.call_later(IDLE_LIMIT_S / 2, self._reap)

    def retain(self, origins: Collection[Origin]) -> None:
        """Close the connections of every origin that is not among `origins`: the idle now, the others after their answer."""
        for origin in [origin for origin in self._pools if origin not in origins]:
            pool = self._pools.pop(origin)
            self._closed_counts = self._closed_counts[0] + pool.surplus, self._closed_counts[1] + pool.stale
            pool.close()
        self._connector.retain(origins)

    def close(self) -> None:
        """Close every idle connection; those in use follow when their answer is complete."""
        self.retain(())
        if self._reaper is not None:
            self._reaper.cancel()

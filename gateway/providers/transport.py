"""The HTTP/1.1 client: pooled connections to providers, and responses that are pushed as they arrive.

Written for this path alone, because a general client is the largest single cost of a proxy. Two rules keep requests apart.
The state of one response is kept in `UpstreamResponse`, never on the pooled connection, so a late byte can't reach another client.
And a connection returns to the pool only when its response is complete; in every other case it is closed.

Read on in `connection.py` (parsing, and what is rejected), `response.py`, and `connect.py` (opening a connection).
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
from gateway.providers.response import AT_ONCE_S, EARLY_LIMIT, Sink, Upload, UpstreamResponse, WireRequest

__all__ = [
    "AT_ONCE_S",
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

LONGEST_AT_ONCE_S: Final = 0.3  # for a provider so far away that opening a connection takes longer than `AT_ONCE_S`
IDLE_LIMIT_S: Final = 15.0  # providers close idle connections after 5 to 75 s
IDLE_LIMIT: Final = 1024  # idle connections kept for one origin
LIFE_S: Final = 600.0  # an older connection is not used again, so that traffic leaves addresses that are gone from DNS
LIFE_SPREAD: Final = 0.2  # share of that by which lifetimes differ, so that connections are not all renewed at once


class _Pool:
    """The idle connections of one origin. The one used last is taken first, so that surplus ones reach the idle limit."""

    def __init__(self) -> None:
        self._idle: deque[Connection] = deque()
        self._is_closed = False
        self.surplus = 0
        self.stale = 0

    def close(self) -> None:
        """Close the idle connections now, and each other one when it returns."""
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
    """Sends requests to origins over pooled connections. Lives as long as its worker."""

    def __init__(self, rng: random.Random | None = None, lookup: Lookup | None = None) -> None:
        self._pools: dict[Origin, _Pool] = {}
        self._connector = Connector(lookup)
        self._rng = rng or random.Random()
        self._reaper: asyncio.TimerHandle | None = None
        self._closed_counts = (0, 0)  # the counts of pools that have been closed

    @property
    def counts(self) -> tuple[int, int]:
        """How often unrequested bytes arrived, and how often a request was sent again because its connection was stale."""
        pools = self._pools.values()
        return self._closed_counts[0] + sum(one.surplus for one in pools), self._closed_counts[1] + sum(
            one.stale for one in pools
        )

    async def send(self, request: WireRequest) -> UpstreamResponse:
        """Send a request and wait for the head of its response.

        A pooled connection that the provider has closed meanwhile, or on which unrequested bytes arrived, is not a failure: if
        that shows within `resend_within_s`, the request is sent once more on a new connection. At once means that nothing was
        processed (RFC 9110, 9.2.2); later, the caller has to know that a second processing does no harm, since a provider may
        close after it has read the request. Raises `UpstreamError`. Cancellation closes the connection.

        An upload can't be sent twice, so it always gets a new connection, and starts once the connection is open.
        """
        pool = self._pools.get(request.origin)
        if pool is None:
            pool = self._pools[request.origin] = _Pool()
        pooled = pool.take() if request.upload is None else None
        while True:
            connection = pooled or await self._connect(request.origin, pool, request.timeouts.connect_s)
            sent_at = connection.loop.time()
            response = connection.send(request)
            if request.upload is not None:
                request.upload.start(response)
            try:
                await response.head
                return response
            except (Unavailable, ProtocolError):
                if pooled is None or pooled.has_responded:
                    raise
                patience_s = max(request.resend_within_s, min(pooled.opened_in_s, LONGEST_AT_ONCE_S))
                if pooled.loop.time() - sent_at > patience_s:
                    raise
                if request.on_resend is not None:
                    request.on_resend()
                pool.stale += 1
                pool.close_idle_before(pooled.idle_since)  # these are stale as well
                pooled = None
            except BaseException:
                response.close()
                raise

    async def _connect(self, origin: Origin, pool: _Pool, connect_s: float | None) -> Connection:
        loop = asyncio.get_running_loop()
        if self._reaper is None:
            self._reaper = loop.call_later(IDLE_LIMIT_S / 2, self._reap)
        life_s, since = LIFE_S * (1 - LIFE_SPREAD * self._rng.random()), loop.time()
        connection = await self._connector.open(origin, lambda: Connection(pool, loop, loop.time() + life_s), connect_s)
        connection.opened_in_s = loop.time() - since
        return connection

    def _reap(self) -> None:
        loop = asyncio.get_running_loop()
        for pool in self._pools.values():
            pool.close_idle_before(loop.time() - IDLE_LIMIT_S)
        self._reaper = loop.call_later(IDLE_LIMIT_S / 2, self._reap)

    def retain(self, origins: Collection[Origin]) -> None:
        """Close the connections of every origin that is not in `origins`: idle ones now, the others after their response."""
        for origin in [origin for origin in self._pools if origin not in origins]:
            pool = self._pools.pop(origin)
            self._closed_counts = self._closed_counts[0] + pool.surplus, self._closed_counts[1] + pool.stale
            pool.close()
        self._connector.retain(origins)

    def close(self) -> None:
        """Close every idle connection; those in use close when their response is complete."""
        self.retain(())
        if self._reaper is not None:
            self._reaper.cancel()

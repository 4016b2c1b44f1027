"""The HTTP/1.1 client: connections to providers, and answers that are pushed as they arrive.

Written for this path alone, because a general client is the largest single cost of a proxy. Two rules keep it honest.
What belongs to one answer lives in `Answer`, never on the pooled connection, so a late byte can't reach another client.
And a connection goes back to the pool only when its answer's message is complete; in every other case it is closed.

aiohttp's own client is not used here, and `httptools` is imported nowhere else.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Protocol, cast

import aiohappyeyeballs
import httptools

from gateway.core.errors import GatewayError, ProtocolError, Unavailable, UpstreamTimeout
from gateway.resilience.deadline import Clocks
from gateway.streaming.watch import Watch

HEAD_LIMIT: Final = 64 * 2**10  # bytes of an answer's head
IDLE_LIMIT_S: Final = 15.0  # providers close idle connections after 5 to 75 s; sooner is safer
IDLE_LIMIT: Final = 1024  # connections kept for one origin
EARLY_LIMIT: Final = 64 * 2**10  # bytes taken before anybody asked for the body
RECEIVE_BUFFER: Final = 256 * 2**10  # bytes in the kernel, so that a slow client is felt upstream


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a provider listens: host and port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    unix: str = ""
    is_tls: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it goes to a provider. `head` ends with its blank line; `total_at` is in the loop's time."""

    origin: Origin
    head: bytes
    body: bytes
    clocks: Clocks
    is_stream: bool
    total_at: float | None
    write_timeout_s: float


class Sink(Protocol):
    """Takes an answer's body as it arrives; synchronous, so that no event waits for the loop."""

    def feed(self, data: bytes) -> None: ...

    def finish(self, error: GatewayError | None) -> None:
        """The body is complete, or broke off with `error`. Nothing follows."""
        ...


class Answer:
    """One answer: its head once `head` is done, its body pushed into a sink, its clocks kept by `watch`.

    `close` must be called when nobody needs it any more; it does nothing to an answer that is complete.
    """

    __slots__ = ("_connection", "_early", "_ended", "_error", "_loop", "_sink", "head", "headers", "status", "watch")

    def __init__(self, connection: "_Connection", call: Call) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}  # names in lower case; of repeated ones the last
        self._loop = connection.loop
        self.head: asyncio.Future[None] = self._loop.create_future()
        self.watch = Watch(
            call.clocks,
            is_stream=call.is_stream,
            total_at=call.total_at,
            write_timeout_s=call.write_timeout_s,
            expire=self.fail,
        )
        self._connection: _Connection | None = connection
        self._sink: Sink | None = None
        self._early: list[bytes] = []
        self._ended = False
        self._error: GatewayError | None = None

    @property
    def content_type(self) -> bytes:
        """The media type in lower case, without parameters."""
        return self.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()

    def attach(self, sink: Sink) -> None:
        """Push the body into `sink` from now on, beginning with what has come already."""
        early, self._early = self._early, []
        has_ended = self._ended
        if not has_ended:
            self._sink = sink
        if early:
            sink.feed(b"".join(early))
            self.resume()
        if has_ended:
            sink.finish(self._error)

    def pause(self) -> None:
        """Take nothing more from the provider for now."""
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        """Go on taking."""
        if self._connection is not None:
            self._connection.resume()

    def fail(self, error: GatewayError) -> None:
        """End the answer with `error`, unless it has ended, and close its connection."""
        self._hang_up()
        self.end(error)

    def close(self) -> None:
        """Let go of the answer. Where it is not complete, the connection is closed and the provider notices at once."""
        self._hang_up()
        self._sink = None

    def _hang_up(self) -> None:
        self.watch.stop()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    # What follows is called by the connection only.

    def take(self, data: bytes) -> None:
        self.watch.last_at = self._loop.time()
        if self._sink is not None:
            self._sink.feed(data)
        else:
            self._early.append(data)
            if sum(map(len, self._early)) > EARLY_LIMIT:
                self.pause()

    def end(self, error: GatewayError | None) -> None:
        if self._ended:
            return
        self._ended, self._error, self._connection = True, error, None
        self.watch.stop()
        if not self.head.done():
            self.head.set_exception(error or ProtocolError("the provider's answer has no head"))
            self.head.exception()  # whoever waits is told; nobody has to
        sink, self._sink = (
            self._sink,
            None,
        )  # it holds the answer: without this they would wait for the garbage collector
        if sink is not None:
            sink.finish(error)


class _Connection(asyncio.Protocol):
    """One connection to an origin. Serves one answer at a time and knows nothing of the ones before."""

    def __init__(self, pool: "_Pool", loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.idle_since = 0.0
        self.has_answered = False  # a byte of the present answer has come
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: Answer | None = None
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._head_bytes = 0
        self._in_head = True
        self._is_complete = False
        self._ends_with_close = False
        self._can_stay = False
        self._is_paused = False

    @property
    def is_usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing() and self._answer is None

    def send(self, call: Call) -> Answer:
        """Write a request; its answer is pushed into what is returned."""
        self._answer = answer = Answer(self, call)
        self._head_bytes, self._in_head, self._is_complete = 0, True, False
        self.has_answered = False
        if self._transport is None:  # the provider was quicker to close than we to write
            self.connection_lost(None)
        else:
            self._transport.writelines((call.head, call.body))
        return answer

    def pause(self) -> None:
        if not self._is_paused and self._transport is not None and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._is_paused and self._transport is not None and not self._transport.is_closing():
            self._is_paused = False
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once; what has not been sent is not worth sending."""
        self._answer = None
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:  # bytes that nobody asked for: this connection can't be trusted any more
            self.abort()
            return
        self.has_answered = True
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._can_stay = False
            self._deliver(answer)
            if not self._is_complete:
                answer.fail(ProtocolError("the provider's answer is not HTTP"))
            elif self._answer is answer:  # surplus bytes behind an answer that is whole: they belong to nobody
                self._finish(answer)
            return
        if self._in_head and self._head_bytes > HEAD_LIMIT:
            answer.fail(ProtocolError("the head of the provider's answer is too long"))
            return
        self._deliver(answer)
        if self._is_complete and self._answer is answer:
            self._finish(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._pool.forget(self)
        answer, self._answer = self._answer, None
        if answer is None:
            return
        if exc is None and self._ends_with_close and not self._in_head:
            answer.end(None)
        elif self._in_head:
            answer.end(Unavailable("the provider closed the connection before it answered"))
        else:
            answer.end(Unavailable("the provider closed the connection in the middle of its answer"))

    def _deliver(self, answer: Answer) -> None:
        if self._body:
            data = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            self._body.clear()
            answer.take(data)

    def _finish(self, answer: Answer) -> None:
        """Give the connection back before the answer's end is told, so that the next request can have it."""
        self._answer = None
        self.resume()
        if self._transport is not None:
            if self._can_stay and not self._transport.get_write_buffer_size():  # else it answered what it had not read
                self._pool.give_back(self)
            else:
                self._transport.abort()
        answer.end(None)

    # httptools

    def on_message_begin(self) -> None:
        if self._is_complete:
            raise httptools.HttpParserError("surplus bytes")
        self._headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            if status == 101:
                raise httptools.HttpParserError("an upgrade that nobody asked for")
            return
        answer = self._answer
        if answer is None:
            return
        self._in_head = False
        headers = self._headers
        self._ends_with_close = (
            b"content-length" not in headers and b"transfer-encoding" not in headers and status not in (204, 304)
        )
        answer.status, answer.headers = status, headers
        if not answer.head.done():
            answer.head.set_result(None)

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        if not self._in_head:
            self._is_complete = True
            self._can_stay = self._parser.should_keep_alive()  # the parser knows only now


class _Pool:
    """The idle connections of one origin; the one used last is taken first, so that the others can grow old."""

    def __init__(self) -> None:
        self._idle: deque[_Connection] = deque()
        self._is_closed = False

    def close(self) -> None:
        """Close what is idle now, and what comes back later."""
        self._is_closed = True
        self.close_older_than(float("inf"))

    def take(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
        return None

    def give_back(self, connection: _Connection) -> None:
        if self._is_closed or len(self._idle) >= IDLE_LIMIT:
            connection.abort()
            return
        connection.idle_since = connection.loop.time()
        self._idle.append(connection)

    def forget(self, connection: _Connection) -> None:
        if self._idle and connection in self._idle:
            self._idle.remove(connection)

    def close_older_than(self, moment: float) -> None:
        while self._idle and self._idle[0].idle_since <= moment:
            self._idle.popleft().abort()


class Transport:
    """Sends requests to origins over pooled connections. Lives as long as its worker; `close` ends all of it."""

    def __init__(self) -> None:
        self._pools: dict[Origin, _Pool] = {}
        self._tls: ssl.SSLContext | None = None
        self._reaper: asyncio.TimerHandle | None = None

    async def ask(self, call: Call) -> Answer:
        """Send a request and wait for the head of its answer.

        A pooled connection that the provider had closed meanwhile is not a failure: nothing was processed, so the
        request is sent once more on a new one. Raises `UpstreamError`; when this is cancelled the connection is closed.
        """
        pool = self._pools.get(call.origin)
        if pool is None:
            pool = self._pools[call.origin] = _Pool()
        pooled = pool.take()
        while True:
            connection = pooled or await self._connect(call.origin, pool, call.clocks.connect_s)
            answer = connection.send(call)
            try:
                await answer.head
                return answer
            except Unavailable:
                if pooled is None or pooled.has_answered:
                    raise
                pool.close_older_than(pooled.idle_since)  # they are stale as well
                pooled = None
            except BaseException:
                answer.close()
                raise

    async def _connect(self, origin: Origin, pool: _Pool, connect_s: float | None) -> _Connection:
        if self._reaper is None:
            self._reaper = asyncio.get_running_loop().call_later(IDLE_LIMIT_S / 2, self._reap)
        try:
            async with asyncio.timeout(connect_s):
                return await self._open(origin, pool)
        except TimeoutError:
            raise UpstreamTimeout(
                "no connection to the provider in time (connect clock)", code="connect_timeout"
            ) from None
        except ssl.SSLError as error:
            raise Unavailable(f"no secure connection to the provider ({error.reason})", code="upstream_tls") from error
        except OSError as error:
            raise Unavailable(f"no connection to the provider ({_reason(error)})", code="upstream_connect") from error

    async def _open(self, origin: Origin, pool: _Pool) -> _Connection:
        loop = asyncio.get_running_loop()
        if origin.unix:
            _, connection = await loop.create_unix_connection(lambda: _Connection(pool, loop), origin.unix)
            return connection
        addresses = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
        sock = await aiohappyeyeballs.start_connection(
            addresses, loop=loop, happy_eyeballs_delay=0.25, interleave=1, socket_factory=_make_socket
        )
        try:
            _, connection = await loop.create_connection(
                lambda: _Connection(pool, loop),
                sock=sock,
                ssl=self._tls_context() if origin.is_tls else None,
                server_hostname=origin.host if origin.is_tls else None,
            )
        except BaseException:
            sock.close()
            raise
        return connection

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    def _reap(self) -> None:
        loop = asyncio.get_running_loop()
        for pool in self._pools.values():
            pool.close_older_than(loop.time() - IDLE_LIMIT_S)
        self._reaper = loop.call_later(IDLE_LIMIT_S / 2, self._reap)

    def retain(self, origins: Collection[Origin]) -> None:
        """Close the connections of every origin that is not among `origins`: the idle now, the others after their answer."""
        for origin in [origin for origin in self._pools if origin not in origins]:
            self._pools.pop(origin).close()

    def close(self) -> None:
        """Close every idle connection; those in use follow when their answer is complete."""
        self.retain(())
        if self._reaper is not None:
            self._reaper.cancel()


def _make_socket(address: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
    family, kind, proto, _, _ = address
    sock = socket.socket(family, kind, proto)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _reason(error: OSError) -> str:
    """Name what happened without the address, which is nobody's business outside."""
    if isinstance(error, socket.gaierror):
        return "its name does not resolve"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    return type(error).__name__

"""The client's side of one exchange: its body in, its answer out.

Heads and chunks are written straight to the connection. aiohttp's own response objects would do the same with a dozen
steps in between, for every event; what they are handed at the end is an answer that has been sent.
"""

import asyncio
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote

from aiohttp import HttpVersion11, web
from aiohttp.web_protocol import RequestPayloadError

from gateway.accounting.prices import dollars
from gateway.api.render import REASONS, SERVER, error_body, error_headers
from gateway.core.chat import ChatRequest
from gateway.core.clock import Clock
from gateway.core.errors import (
    ClientStalled,
    GatewayError,
    InvalidRequest,
    RequestTimeout,
    RequestTooLarge,
    ShuttingDown,
    StreamFailed,
    UnsupportedMedia,
)
from gateway.core.exchange import Exchange
from gateway.dialects.base import Dialect
from gateway.dialects.rate_limits import limit_lines
from gateway.dialects.vendors import id_lines
from gateway.pools.route_plan import RoutePlan
from gateway.streaming.relay import KEEP_ALIVE
from gateway.upstream.dispatcher import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.api.connection import ClientConnection
    from gateway.config.spec import LimitsSpec

FORWARDED: Final = (b"openai-processing-ms", b"openai-version", b"openai-model", b"x-gateway-estimated")
"""Of a provider's headers; the last is said by a gateway, ourselves or another one behind us."""
STREAM_HEADERS: Final = "content-type: text/event-stream\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"


class SentResponse:
    """What aiohttp is given for an answer that is on its way already: the three things that it asks of a response."""

    __slots__ = ("_connection", "keep_alive")

    def __init__(self, connection: "ClientConnection", *, keep_alive: bool) -> None:
        self._connection = connection
        self.keep_alive = keep_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self) -> None:
        if not self.keep_alive:
            await self._connection.close_gracefully()


class HttpClient:
    """One request on a client's connection; see `pipeline.Client` and `relay.Reply`, which it is."""

    def __init__(
        self, request: web.BaseRequest, exchange: Exchange, dialect: Dialect, limits: "LimitsSpec", clock: Clock
    ) -> None:
        connection: ClientConnection = request.protocol  # type: ignore[assignment]
        self._request = request
        self._connection = connection
        self._exchange = exchange
        self._dialect = dialect
        self._limits = limits
        self._clock = clock
        self._is_chunked = request.version == HttpVersion11
        self._stream: Literal["none", "open", "closed"] = "none"
        self._signs: asyncio.TimerHandle | None = None
        self.cors = ""  # lines of the head, where pages of other origins may ask
        self.response = SentResponse(connection, keep_alive=self._is_chunked and request.keep_alive)

    # pipeline.Client

    async def read(self) -> ChatRequest:
        headers, limit = self._request.headers, self._limits.body
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise UnsupportedMedia("the content-type must be application/json")
        if "content-encoding" in headers and not is_plain_body(self._request):
            raise UnsupportedMedia("compressed bodies are not taken")
        length = self._request.content_length
        if length is not None and length > limit:
            raise RequestTooLarge(f"the body is larger than {limit} bytes")
        self._invite()
        return self._dialect.decode_request(await self._read_body(limit))

    def expect(self, path: RoutePlan) -> None:
        request = self._exchange.request
        if path.early_keepalive and path.keepalive_s is not None and request is not None and request.stream:
            self._sign_in(path.keepalive_s)

    def send(self, body: bytes, upstream: Upstream) -> None:
        content_type = upstream.answer.header(b"content-type")
        if "json" not in content_type.lower():  # whatever the provider calls it, it has been read as JSON
            content_type = "application/json"
        lines = f"content-type: {content_type}\r\ncontent-length: {len(body)}\r\n"
        lines += f"x-gateway-cost: {dollars(self._exchange.cost_picodollars)}\r\n{self._answer_headers(upstream)}"
        self._commit(200, lines, body)

    async def relay(self, upstream: Upstream) -> None:
        assert upstream.stream is not None
        self._open_stream(self._answer_headers(upstream))
        try:
            await upstream.stream.pump(self, upstream.keepalive_s)
        finally:
            self._connection.on_drain = None
        self._close_stream()

    def fail(self, error: GatewayError) -> None:
        self.leave()
        if isinstance(error, ClientStalled):
            self._abort()
        elif self._stream == "open":
            if not isinstance(error, StreamFailed):
                self.write(self._dialect.encode_error_event(error))
            self._close_stream()
        elif not self._exchange.committed_at:
            body, content_type = error_body(error, self._dialect)
            headers = {"content-type": content_type, "content-length": str(len(body)), **error_headers(error)}
            if isinstance(error, ShuttingDown) or not self._request.content.is_eof():
                self.response.keep_alive = False  # behind a body that was not read no next request can be found
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            self._commit(error.http_status, lines + self._gateway_headers(), body)

    def break_down(self, error: GatewayError) -> None:
        """Give up after a failure of our own: say so while that is possible, and end the connection in any case."""
        self.response.keep_alive = False
        if self._exchange.committed_at:
            self._abort()
        else:
            self.fail(error)

    def leave(self) -> None:
        """Stop whatever would write later."""
        if self._signs is not None:
            self._signs.cancel()

    # relay.Reply

    @property
    def on_drain(self) -> "Callable[[], None] | None":
        return self._connection.on_drain

    @on_drain.setter
    def on_drain(self, callback: "Callable[[], None] | None") -> None:
        self._connection.on_drain = callback

    def write(self, data: bytes) -> bool:
        if data:  # a chunk of nothing would end the answer
            self._write(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)
        return not self._connection.writing_paused

    async def drained(self) -> None:
        """Wait until the client has taken what it was sent, or cut it."""
        if self._connection.writing_paused:
            try:
                async with asyncio.timeout(self._limits.write_timeout_s):
                    await self._connection._drain_helper()
            except (TimeoutError, ConnectionError):
                self._abort()

    # The request's body

    def _invite(self) -> None:
        """Ask for the body where the client waits for that (RFC 9110, 10.1.1)."""
        expectation = self._request.headers.get("expect")
        if expectation is None or expectation.lower() != "100-continue":
            return
        if self._is_chunked and not self._request.content.is_eof():
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def _read_body(self, limit: int) -> bytes:
        content = self._request.content
        if content.is_eof():  # it came with the head
            body = content.read_nowait(-1)
            if len(body) > limit:
                raise RequestTooLarge(f"the body is larger than {limit} bytes")
            return body
        parts, size, since = [], 0, self._clock.monotonic()
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                while part := await content.readany():
                    parts.append(part)
                    size += len(part)
                    if size > limit:
                        raise RequestTooLarge(f"the body is larger than {limit} bytes")
        except RequestPayloadError:
            self.response.keep_alive = False
            raise InvalidRequest("the body is not framed as HTTP demands", code="invalid_http") from None
        except TimeoutError:
            raise RequestTimeout("the body took too long to arrive") from None
        except ConnectionError:
            raise asyncio.CancelledError from None  # the client left
        finally:
            self._exchange.waited_s += self._clock.monotonic() - since
        return b"".join(parts)

    # The answer

    def _commit(self, status: int, lines: str, body: bytes = b"") -> None:
        """Write the head of the answer, and its body or the beginning of it: from here on nothing can be taken back."""
        exchange = self._exchange
        exchange.committed_at, exchange.status = self._clock.monotonic(), status
        last = self.cors if self.response.keep_alive else f"{self.cors}connection: close\r\n"
        reason, ids = REASONS.get(status, ""), id_lines(self._dialect.VENDOR, exchange.id)
        head = f"HTTP/1.1 {status} {reason}\r\nserver: {SERVER}\r\n{lines}{ids}{last}\r\n"
        self._write(head.encode("latin-1", "replace") + body)

    def _open_stream(self, lines: str) -> None:
        self.leave()
        if self._stream == "none":
            self._stream = "open"
            framing = "transfer-encoding: chunked\r\n" if self._is_chunked else ""
            self._commit(200, STREAM_HEADERS + framing + lines)

    def _close_stream(self) -> None:
        self._stream = "closed"
        if self._is_chunked:
            self._write(b"0\r\n\r\n")

    def _sign_in(self, every_s: float) -> None:
        self._signs = asyncio.get_running_loop().call_later(every_s, self._sign_of_life, every_s)

    def _sign_of_life(self, every_s: float) -> None:
        self._open_stream(self._gateway_headers())
        self.write(KEEP_ALIVE)
        self._sign_in(every_s)

    def _answer_headers(self, upstream: Upstream) -> str:
        lines = self._gateway_headers()
        for name in FORWARDED:
            if name in upstream.answer.headers and (value := upstream.answer.header(name)):
                lines += f"{name.decode()}: {value}\r\n"
        return lines + limit_lines(upstream.answer.headers, self._dialect.VENDOR, self._clock.wall)

    def _gateway_headers(self) -> str:
        """Say which way the request went; what is not known yet is left out."""
        exchange = self._exchange
        overhead_ms = (self._clock.monotonic() - exchange.received_at - exchange.waited_s) * 1000
        lines = f"x-gateway-config: {exchange.generation}\r\nx-gateway-overhead-ms: {overhead_ms:.2f}\r\n"
        if exchange.route:
            lines += f"x-gateway-route: {_plain(exchange.route)}\r\nx-gateway-cache: bypass; reason=off\r\n"
        if exchange.attempts:
            model = exchange.request.model if "*" in exchange.model and exchange.request is not None else exchange.model
            lines += f"x-gateway-pool: {_plain(exchange.pool)}\r\nx-gateway-model: {_plain(model)}\r\n"
            lines += f"x-gateway-attempts: {len(exchange.attempts)}\r\n"
            if exchange.degraded:
                lines += f"x-gateway-degraded: {_plain(exchange.degraded)}\r\n"
        return lines

    def _write(self, data: bytes) -> None:
        transport = self._connection.transport
        if transport is not None and not transport.is_closing():
            transport.write(data)

    def _abort(self) -> None:
        self.response.keep_alive = False
        if self._connection.transport is not None:
            self._connection.transport.abort()


def is_plain_body(request: web.BaseRequest) -> bool:
    """Whether a body that says how it is coded says that it is not."""
    return all(value.strip().lower() == "identity" for value in request.headers.getall("content-encoding"))


def _plain(value: str) -> str:
    """Give `value` as a header can hold it: a name that a client chose may hold anything."""
    return value if value.isascii() and value.isprintable() else quote(value)

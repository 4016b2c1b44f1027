"""The client's side of one exchange: its body in, its response out.

Over 300 lines: the two directions share the connection, the limits and the commit point.

Heads and chunks are written straight to the connection. aiohttp's own response objects would do the same with a dozen
steps in between for every event; aiohttp is handed a `SentResponse` at the end.
"""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote

from aiohttp import HttpVersion11, web
from aiohttp.web_protocol import RequestPayloadError

from gateway.api.backpressure import PIECE_BYTES, send_pieces, wait_for_room
from gateway.api.render import REASONS, SERVER, SentResponse, error_body, error_headers
from gateway.core.chat import ChatRequest
from gateway.core.errors import (
    ClientStalled,
    GatewayError,
    InvalidRequest,
    Overloaded,
    RequestTimeout,
    RequestTooLarge,
    ShuttingDown,
    StreamFailed,
    UnsupportedMedia,
)
from gateway.core.exchange import Exchange
from gateway.core.http_time import http_date
from gateway.core.money import dollars
from gateway.core.response import Response
from gateway.dialects import id_lines
from gateway.dialects.base import Dialect
from gateway.dialects.json_shape import LARGE, Bounds
from gateway.pools.route_plan import RoutePlan
from gateway.providers.header_policy import TO_CLIENT_DIALECT
from gateway.providers.rate_limits import limit_lines
from gateway.snapshot import Services
from gateway.streaming.relay import KEEP_ALIVE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from gateway.api.connection import ClientConnection
    from gateway.config.spec import ServerLimitsSpec

STREAM_HEADERS: Final = "content-type: text/event-stream\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"


class ClientSide:
    """One request on a client's connection; it is a `lifecycle.Client` and a `core.response.ClientWriter`."""

    def __init__(
        self,
        request: web.BaseRequest,
        exchange: Exchange,
        dialect: Dialect,
        limits: "ServerLimitsSpec",
        services: Services,
    ) -> None:
        connection: ClientConnection = request.protocol  # type: ignore[assignment]
        self._request = request
        self._connection = connection
        self._exchange = exchange
        self._dialect = dialect
        self._limits = limits
        self._services = services
        self._clock = services.clock
        self._is_head = request.method == "HEAD"
        self._is_chunked = request.version == HttpVersion11
        self._stream: Literal["none", "open", "closed"] = "none"
        self._keepalive: asyncio.TimerHandle | None = None
        self._held_bytes = 0  # of the body, counted in `services.bodies`
        self._unsent = memoryview(b"")  # of a long response
        self.cors = ""  # header lines, where pages of other origins may send requests
        self.response = SentResponse(connection, keep_alive=self._is_chunked and request.keep_alive)

    @property
    def path(self) -> str:
        return self._exchange.path

    @property
    def query(self) -> "Mapping[str, str]":
        """The parameters of the URL."""
        return self._request.query

    async def read(self) -> ChatRequest:
        """Invite, read and check the body. Raises `CallerError`."""
        headers, limit = self._request.headers, self._limits.body
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise UnsupportedMedia("the content-type must be application/json")
        if "content-encoding" in headers and not is_plain_body(self._request):
            raise UnsupportedMedia("compressed bodies are not taken")
        length = self._request.content_length
        if length is not None and length > limit:
            raise RequestTooLarge(f"the body is larger than {limit} bytes")
        self._invite()
        body = await self._read_body(limit)
        if len(body) <= LARGE:
            return self._dialect.decode_request(body)
        decode = partial(self._dialect.decode_request, body, Bounds(self._limits.names, self._limits.values))
        try:
            return await self._services.offload.run(len(body), decode)
        except GatewayError as error:  # its traceback would hold the body until the garbage collector comes
            del body, decode
            raise error.with_traceback(None) from None

    def leave_body(self) -> None:
        """End the connection after the response unless the body has been read: else the next request can't be found."""
        if not self._request.content.is_eof():
            self.response.keep_alive = False

    # lifecycle.Client

    def keep_alive(self, plan: RoutePlan) -> None:
        request = self._exchange.request
        if plan.early_keepalive and plan.keepalive_s is not None and request is not None and request.stream:
            self._send_keepalive_in(plan.keepalive_s)

    def send(self, response: Response) -> "Awaitable[None] | None":
        body = response.body
        assert body is not None
        content_type = response.header(b"content-type")
        if "json" not in content_type.lower():  # whatever the provider calls it, it has been read as JSON
            content_type = "application/json"
        lines = f"content-type: {content_type}\r\ncontent-length: {len(body)}\r\n"
        lines += f"x-gateway-cost: {dollars(self._exchange.cost_picodollars)}\r\n{self._response_headers(response)}"
        if len(body) <= PIECE_BYTES or self._is_head:
            self._commit(response.status, lines, body)
        else:
            self._commit(response.status, lines)
            self._unsent = memoryview(body)
            self._unsent = send_pieces(self._connection, self._unsent)
        for tap in response.taps:
            tap.feed(body)
        return self._send_rest() if self._unsent else None

    async def relay(self, response: Response) -> None:
        assert response.source is not None
        self._open_stream(self._response_headers(response))
        try:
            await response.source.pump(self, response.keepalive_s, response.taps)
        finally:
            self._connection.on_drain = None
        self._close_stream()

    def fail(self, error: GatewayError) -> None:
        self.leave()
        error.request_id = self._exchange.id
        if isinstance(error, ClientStalled):
            self._abort()
        elif self._stream == "open":
            if not isinstance(error, StreamFailed):
                self.write(self._dialect.encode_error_event(error))
            self._close_stream()
        elif not self._exchange.timeline.committed_at:
            body, content_type = error_body(error, self._dialect, self._exchange.id)
            headers = {"content-type": content_type, "content-length": str(len(body)), **error_headers(error)}
            if isinstance(error, ShuttingDown):
                self.response.keep_alive = False
            self.leave_body()
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            self._commit(error.http_status, lines + self._gateway_headers(), body)

    def break_down(self, error: GatewayError) -> None:
        """End the request after a failure of the gateway itself: send the error while that is possible, and end the connection."""
        self.response.keep_alive = False
        if self._exchange.timeline.committed_at:
            self._abort()
        else:
            self.fail(error)

    def leave(self) -> None:
        """Stop whatever would write later."""
        if self._keepalive is not None:
            self._keepalive.cancel()

    # core.response.ClientWriter

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

    async def _send_rest(self) -> None:
        """Send a long response as the client takes it. Raises `ClientStalled`."""
        since = self._clock.monotonic()
        try:
            while self._unsent:
                await wait_for_room(self._connection, self._limits.write_timeout_s)
                self._unsent = send_pieces(self._connection, self._unsent)
        except ConnectionError:
            raise asyncio.CancelledError from None  # the client left
        finally:
            self._unsent = memoryview(b"")
            self._exchange.timeline.add_wait("client", since)

    async def drained(self) -> None:
        """Wait until the client has taken what it was sent, or cut it."""
        try:
            while self._connection.writing_paused:
                await wait_for_room(self._connection, self._limits.write_timeout_s)
        except (ClientStalled, ConnectionError):
            self._abort()

    def release(self) -> None:
        """Stop counting the body among those that are held: the request has ended."""
        if self._held_bytes:
            self._services.bodies.size -= self._held_bytes
            self._held_bytes = 0

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
            whole = content.read_nowait(-1)
            if len(whole) > limit:
                raise RequestTooLarge(f"the body is larger than {limit} bytes")
            return whole
        held, limits = self._services.bodies, self._limits
        body, since = bytearray(), self._clock.monotonic()  # many small pieces would take many times their size
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                while part := await content.readany():
                    body += part
                    self._held_bytes += len(part)
                    held.size += len(part)
                    if len(body) > limit:
                        raise RequestTooLarge(f"the body is larger than {limit} bytes")
                    if not held.has_room(len(body), limits.bodies):
                        raise Overloaded("too many bytes of requests at once", retry_after_s=1.0)
        except RequestPayloadError:
            self.response.keep_alive = False
            raise InvalidRequest("the body is not framed as HTTP demands", code="invalid_http") from None
        except TimeoutError:
            raise RequestTimeout("the body took too long to arrive") from None
        except ConnectionError:
            raise asyncio.CancelledError from None  # the client left
        except GatewayError:
            body.clear()  # the traceback would hold it until the garbage collector comes
            raise
        finally:
            self._exchange.timeline.add_wait("client", since)
        return bytes(body)

    # The response

    def _commit(self, status: int, lines: str, body: bytes = b"") -> None:
        """Write the head of the response and its body or the beginning of it: the commit point."""
        exchange = self._exchange
        exchange.timeline.commit()
        exchange.status = status
        last = self.cors if self.response.keep_alive else f"{self.cors}connection: close\r\n"
        reason, ids = REASONS.get(status, ""), id_lines(self._dialect.VENDOR, exchange.id)
        date = http_date(int(self._clock.wall()))
        head = f"HTTP/1.1 {status} {reason}\r\nserver: {SERVER}\r\ndate: {date}\r\n{lines}{ids}{last}\r\n"
        self._write(head.encode("latin-1", "replace") + (b"" if self._is_head else body))

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

    def _send_keepalive_in(self, every_s: float) -> None:
        self._keepalive = asyncio.get_running_loop().call_later(every_s, self._send_keepalive, every_s)

    def _send_keepalive(self, every_s: float) -> None:
        self._open_stream(self._gateway_headers())
        self.write(KEEP_ALIVE)
        self._send_keepalive_in(every_s)

    def _response_headers(self, response: Response) -> str:
        lines = self._gateway_headers()
        for name in TO_CLIENT_DIALECT:
            if name in response.headers and (value := response.header(name)):
                lines += f"{name.decode()}: {value}\r\n"
        if response.origin == "gateway" and (policy := response.header(b"cache-control")):
            lines += f"cache-control: {policy}\r\n"
        return lines + limit_lines(response.headers, self._dialect.VENDOR, self._clock.wall)

    def _gateway_headers(self) -> str:
        """Return the header lines that say which way the request went; what is not known yet is left out."""
        exchange = self._exchange
        overhead_ms = exchange.timeline.overhead_s * 1000
        lines = f"x-gateway-config: {exchange.generation}\r\nx-gateway-overhead-ms: {overhead_ms:.2f}\r\n"
        if exchange.decision.route:
            lines += f"x-gateway-route: {_plain(exchange.decision.route)}\r\nx-gateway-cache: bypass; reason=off\r\n"
        if (attempt := exchange.attempt) is not None:
            model = exchange.request.model if "*" in attempt.model and exchange.request is not None else attempt.model
            lines += f"x-gateway-pool: {_plain(attempt.pool)}\r\nx-gateway-model: {_plain(model)}\r\n"
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
    """Return `value` as a header can hold it: a name chosen by a client may hold anything."""
    return value if value.isascii() and value.isprintable() else quote(value)

"""A client's connection: aiohttp's own, with strict request checks, errors as JSON, a callback when the client can take
more data, and a timeout for the head of a request.

Received bytes are one of three things: a part of a head, a part of a body, or, after the last body, the start of the next
head. Each has its own limits: a head has a timeout and a maximum size, a chunked body has a maximum share of framing, an
idle connection only has aiohttp's long keep-alive timeout. The first violation ends the connection: one error response
after the responses that are due, then the sending side is closed. What the client still sends is read and dropped for
`LINGER_S`, because closing a socket with unread bytes could make the client lose the response.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from aiohttp import http_parser, web
from aiohttp.http import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler, RequestPayloadError, _ErrInfo

from gateway.api import request_checks
from gateway.api.render import ClosingErrorResponse
from gateway.api.request_id import RequestIds
from gateway.core.errors import GatewayError, RequestTimeout
from gateway.dialects import dialect_of

WRITE_HIGH_WATER_BYTES: Final = 64 * 2**10  # unsent bytes for a client at which reading from the provider pauses
HEAD_TIMEOUT_S: Final = 5.0
FRAMING_ALLOWANCE_BYTES: Final = 512 * 2**10  # framing bytes that every chunked body may have
FRAMING_RATIO: Final = 0.5  # further framing bytes for each byte of content: one-byte chunks cost more than they carry
LINGER_S: Final = 2.0  # how long a client may keep sending after an error response
HEAD_END: Final = b"\r\n\r\n"

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class InvalidBody(RequestPayloadError, TimeoutError):
    """A body with invalid framing. Also a TimeoutError, which aiohttp suppresses while it discards an unread body."""


class _RejectedRequest(Exception):
    """An invalid request, with its head if that was parsed."""

    def __init__(self, error: GatewayError, message: RawRequestMessage | None = None) -> None:
        self.error = error
        self.message = message


class ClientConnection(RequestHandler):
    """Serves the requests of one connection, one after the other."""

    __slots__ = (
        "_body",
        "_body_left_bytes",
        "_body_wire_bytes",
        "_client_closed",
        "_head",
        "_head_timer",
        "_is_input_ignored",
        "_server",
        "on_drain",
    )

    def __init__(self, server: "ClientServer", **settings: Any) -> None:
        super().__init__(server, **settings)
        self._server = server
        self._head = b""  # the bytes of an incomplete head
        self._head_timer: asyncio.TimerHandle | None = None
        self._body: StreamReader = EMPTY_PAYLOAD  # of the latest request
        self._body_left_bytes: int | None = None  # bytes of it still to come; None: chunked, so unknown
        self._body_wire_bytes = 0  # bytes received for it, framing included
        self._is_input_ignored = False  # received bytes are dropped from now on
        self._client_closed: asyncio.Future[None] | None = None  # done when the client has closed its side
        self.on_drain: Callable[[], None] | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER_BYTES)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_head_timer()
        if self._client_closed is not None and not self._client_closed.done():
            self._client_closed.set_result(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse `data`, check the requests in it, and run the timer of an incomplete head."""
        if self._is_input_ignored:
            return
        count, reads_body = self._request_count, not self._body.is_eof()
        super().data_received(data)
        if new := self._request_count - count:
            self._head += data
            is_head_begun = self._check_requests(new) and data != b""
            self._head = data[-3:] if is_head_begun else b""
        elif reads_body:
            is_head_begun = self._track_body(data)
            self._head = data[-3:] if is_head_begun else b""
        elif not data:  # buffered bytes were parsed, without a complete request
            return
        else:
            self._head += data
            is_head_begun = self._head.strip(b"\r\n") != b""  # empty lines before a request are allowed
            if len(self._head) > request_checks.HEAD_LIMIT:
                self._reject(request_checks.head_too_large())
        if not is_head_begun or self._is_input_ignored:
            self._stop_head_timer()
        elif self._head_timer is None and not self._buffer_paused:
            self._head_timer = self._loop.call_later(self._server.head_timeout_s(), self._on_head_timeout)

    def resume_writing(self) -> None:
        super().resume_writing()
        on_drain, self.on_drain = self.on_drain, None
        if on_drain is not None:
            on_drain()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Return the error response for an invalid request or an uncaught exception; the connection closes after it."""
        if isinstance(exc, _RejectedRequest):
            head, error = exc.message or request, exc.error
            request_id = self._server.ids.of(head.headers)
        else:
            head, error = request, GatewayError("an unexpected failure", code="internal_error", status=status)
            request_id = self._server.ids.of(head.headers)
            self.logger.error("unexpected failure of a request", exc_info=exc, extra={"request_id": request_id})
        if request.writer.output_size > 0:
            raise ConnectionError("the response has begun: no error response is possible")
        dialect = dialect_of(request_checks.path_of(_target_of(head)), head.headers)
        is_head = head.method == "HEAD"
        return cast(web.StreamResponse, ClosingErrorResponse(self, error, request_id, is_head=is_head, dialect=dialect))

    async def close_gracefully(self) -> None:
        """After an error, close the sending side and give the client time to read the response and close its side."""
        if self._is_input_ignored and self.transport is not None and not self.transport.is_closing():
            if self.transport.can_write_eof():
                self.transport.write_eof()
            self._client_closed = self._loop.create_future()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    await self._client_closed

    # Received bytes

    def _check_requests(self, new: int) -> bool:
        """Check the `new` requests that `_head` completed; return whether a further head has begun after them."""
        for index in range(-new, 0):
            if (violation := self._find_violation(self._messages[index][0])) is not None:
                self._reject(violation, index)
                return False
        message, body = cast(tuple[RawRequestMessage, StreamReader], self._messages[-1])
        self._body = body
        size = body.total_bytes
        if not body.is_eof():
            self._body_left_bytes = None if message.chunked else int(message.headers["Content-Length"]) - size
            self._body_wire_bytes = len(self._head)
            return False
        if message.chunked or not size:
            return not self._head.endswith(HEAD_END)
        end = self._head[-size - 6 :]  # an empty line after it is allowed
        return HEAD_END not in (end[2:6], end[:4])

    def _find_violation(self, message: RawRequestMessage | _ErrInfo) -> GatewayError | None:
        if isinstance(message, _ErrInfo):
            return request_checks.parser_error(message.exc)
        if (violation := request_checks.find_violation(message, self)) is not None:
            return violation
        if len(self._head) > request_checks.HEAD_LIMIT < request_checks.head_size(message):
            return request_checks.head_too_large()
        return request_checks.invalid_http() if request_checks.may_be_rtsp(message, self._head) else None

    def _track_body(self, data: bytes) -> bool:
        """Count a part of a body; return whether the next head has begun after it."""
        if self._body_left_bytes is not None:
            self._body_left_bytes -= len(data)
            return self._body_left_bytes < -2
        self._body_wire_bytes += len(data)
        if self._body.is_eof():
            return len(data) >= len(HEAD_END) and not data.endswith(HEAD_END)
        if self._body_wire_bytes > FRAMING_ALLOWANCE_BYTES + (1 + FRAMING_RATIO) * self._body.total_bytes:
            self._reject(request_checks.invalid_http())
        return False

    # The end of the connection

    def _on_head_timeout(self) -> None:
        self._head_timer = None
        self._reject(RequestTimeout("the head of the request took too long to arrive"))

    def _reject(self, error: GatewayError, index: int | None = None) -> None:
        """Queue `error` in place of the request at `index`, otherwise of the next one, and ignore all further bytes.

        If the body of a running request is invalid, the reader of that body gets the exception and answers instead.
        """
        self._is_input_ignored = True
        message: RawRequestMessage | None = None
        if index is not None:
            found = self._messages[index][0]
            message = None if isinstance(found, _ErrInfo) else found
            while index < 0:
                self._messages.pop()
                index += 1
        if not self._body.is_eof():
            self._body.set_exception(InvalidBody(error.message))
            self._head = b""
            return
        self._messages.append((_ErrInfo(error.http_status, _RejectedRequest(error, message), ""), EMPTY_PAYLOAD))
        self._head = b""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _target_of(head: RawRequestMessage | web.BaseRequest) -> str:
    """Return the request target; "" if there was none, as with a bare CONNECT."""
    return (head.path if isinstance(head, RawRequestMessage) else head.raw_path) or ""


class ClientServer(web.Server):
    """Creates a `ClientConnection` for each accepted connection. `head_timeout_s` is read for each head, so it may change."""

    def __init__(
        self, handler: Handler, *, head_timeout_s: Callable[[], float] = lambda: HEAD_TIMEOUT_S, **settings: Any
    ) -> None:
        limits = {
            "max_line_size": request_checks.LINE_LIMIT,
            "max_field_size": request_checks.FIELD_LIMIT,
            "max_headers": request_checks.HEADERS_LIMIT,
            "lingering_time": LINGER_S,
        }
        if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
            raise RuntimeError("aiohttp is without its C parser")  # the startup check can't see every server
        super().__init__(handler, **{**limits, **settings})
        self.head_timeout_s = head_timeout_s
        self.ids = RequestIds()

    def __call__(self) -> RequestHandler:
        return ClientConnection(self, loop=self._loop, **self._kwargs)

"""A client's connection: aiohttp's own, made strict, told to speak JSON when it finds fault, to say when the client has
room again, and to wait for the head of a request only so long.

What comes in is one of three things: a part of a head, a part of a body, or, behind the last body, the beginning of the
next head. Which one decides what runs out: heads have a clock and a size, chunked bodies a share of framing, idle
connections only aiohttp's own long clock. The first fault ends it: one answer behind those that are due, the sending
side closed, and what the client still sends is dropped for a while, because closing on unread bytes could take the
answer from it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from aiohttp import http_parser, web
from aiohttp.http import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler, RequestPayloadError, _ErrInfo

from gateway.api import request_checks as wire
from gateway.api.render import LastAnswer
from gateway.api.request_id import RequestIds
from gateway.core.errors import GatewayError, RequestTimeout
from gateway.dialects import dialect_of

WRITE_HIGH_WATER: Final = 64 * 2**10  # bytes waiting for a client before its provider is held up
HEAD_TIMEOUT_S: Final = 5.0
FRAMING_FREE: Final = 512 * 2**10  # bytes of a chunked body that may be anything but content
FRAMING_SHARE: Final = 0.5  # and so many more for each byte of content: chunks of a byte cost more than they bring
LINGER_S: Final = 2.0  # for a client that still sends what is not read any more
HEAD_END: Final = b"\r\n\r\n"

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class BadBody(RequestPayloadError, TimeoutError):
    """A body that is not framed as HTTP demands; aiohttp takes it for the end of its patience where nobody reads."""


class _Refused(Exception):
    """A request that was parsed and is not served."""

    def __init__(self, error: GatewayError, message: RawRequestMessage | None = None) -> None:
        self.error = error
        self.message = message


class ClientConnection(RequestHandler):
    """Serves the requests of one connection, one after the other."""

    __slots__ = (
        "_body",
        "_body_left",
        "_body_wire",
        "_head",
        "_head_timer",
        "_is_refused",
        "_parted",
        "_server",
        "on_drain",
    )

    def __init__(self, server: "ClientServer", **settings: Any) -> None:
        super().__init__(server, **settings)
        self._server = server
        self._head = b""  # the pieces of one that is not complete
        self._head_timer: asyncio.TimerHandle | None = None
        self._body: StreamReader = EMPTY_PAYLOAD  # of the last request
        self._body_left: int | None = None  # bytes of it that are still to come; None: chunked, so nobody knows
        self._body_wire = 0  # bytes that have come for it, framing included
        self._is_refused = False  # nothing that comes is read any more
        self._parted: asyncio.Future[None] | None = None  # done when the client has closed its side too
        self.on_drain: Callable[[], None] | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_head_timer()
        if self._parted is not None and not self._parted.done():
            self._parted.set_result(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse `data`, judge the requests in it, and keep the clock of a head that is begun."""
        if self._is_refused:
            return
        count, reads_body = self._request_count, not self._body.is_eof()
        super().data_received(data)
        if new := self._request_count - count:
            self._head += data
            is_begun = self._judge(new) and data != b""
            self._head = data[-3:] if is_begun else b""
        elif reads_body:
            is_begun = self._follow_body(data)
            self._head = data[-3:] if is_begun else b""
        elif not data:  # what had been kept back is parsed now, and nothing has come of it
            return
        else:
            self._head += data
            is_begun = self._head.strip(b"\r\n") != b""  # lines without anything in front of a request are let pass
            if len(self._head) > wire.HEAD_LIMIT:
                self._refuse(wire.large_head())
        if not is_begun or self._is_refused:
            self._stop_head_timer()
        elif self._head_timer is None and not self._buffer_paused:
            self._head_timer = self._loop.call_later(self._server.head_timeout_s(), self._head_is_late)

    def resume_writing(self) -> None:
        super().resume_writing()
        on_drain, self.on_drain = self.on_drain, None
        if on_drain is not None:
            on_drain()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what was refused, and what no one else caught, in our own shape; then close."""
        if isinstance(exc, _Refused):
            head, error = exc.message or request, exc.error
            request_id = self._server.ids.of(head.headers)
        else:
            head, error = request, GatewayError("an unexpected failure", code="internal_error", status=status)
            request_id = self._server.ids.of(head.headers)
            self.logger.error("unexpected failure of a request", exc_info=exc, extra={"request_id": request_id})
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun: nothing can be said any more")
        dialect = dialect_of(wire.path_of(_target_of(head)), head.headers)
        is_head = head.method == "HEAD"
        return cast(web.StreamResponse, LastAnswer(self, error, request_id, is_head=is_head, dialect=dialect))

    async def part(self) -> None:
        """Close our side where nothing is read any more, and give the client time to see why and close its own."""
        if self._is_refused and self.transport is not None and not self.transport.is_closing():
            if self.transport.can_write_eof():
                self.transport.write_eof()
            self._parted = self._loop.create_future()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    await self._parted

    # What comes in

    def _judge(self, new: int) -> bool:
        """Look at the requests that `_head` completed; gives whether a further head has begun behind them."""
        for index in range(-new, 0):
            if (fault := self._fault_of(self._messages[index][0])) is not None:
                self._refuse(fault, index)
                return False
        message, body = cast(tuple[RawRequestMessage, StreamReader], self._messages[-1])
        self._body = body
        size = body.total_bytes
        if not body.is_eof():
            self._body_left = None if message.chunked else int(message.headers["Content-Length"]) - size
            self._body_wire = len(self._head)
            return False
        if message.chunked or not size:
            return not self._head.endswith(HEAD_END)
        end = self._head[-size - 6 :]  # an empty line behind it is let pass
        return HEAD_END not in (end[2:6], end[:4])

    def _fault_of(self, message: RawRequestMessage | _ErrInfo) -> GatewayError | None:
        if isinstance(message, _ErrInfo):
            return wire.parser_fault(message.exc)
        if (fault := wire.fault_of(message, self)) is not None:
            return fault
        if len(self._head) > wire.HEAD_LIMIT < wire.head_size(message):
            return wire.large_head()
        return wire.bad_http() if wire.is_foreign_protocol(message, self._head) else None

    def _follow_body(self, data: bytes) -> bool:
        """Note a part of a body; gives whether the next head has begun behind it."""
        if self._body_left is not None:
            self._body_left -= len(data)
            return self._body_left < -2
        self._body_wire += len(data)
        if self._body.is_eof():
            return len(data) >= len(HEAD_END) and not data.endswith(HEAD_END)
        if self._body_wire > FRAMING_FREE + (1 + FRAMING_SHARE) * self._body.total_bytes:
            self._refuse(wire.bad_http())
        return False

    # What ends it

    def _head_is_late(self) -> None:
        self._head_timer = None
        self._refuse(RequestTimeout("the head of the request took too long to arrive"))

    def _refuse(self, error: GatewayError, index: int | None = None) -> None:
        """Answer `error` in its turn, and read nothing behind it: in place of the request at `index`, else of the next.

        Where a body is at fault whose request is being served, whoever reads it is told, and answers.
        """
        self._is_refused = True
        message: RawRequestMessage | None = None
        if index is not None:
            found = self._messages[index][0]
            message = None if isinstance(found, _ErrInfo) else found
            while index < 0:
                self._messages.pop()
                index += 1
        if not self._body.is_eof():
            self._body.set_exception(BadBody(error.message))
            self._head = b""
            return
        self._messages.append((_ErrInfo(error.http_status, _Refused(error, message), ""), EMPTY_PAYLOAD))
        self._head = b""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _target_of(head: RawRequestMessage | web.BaseRequest) -> str:
    """Give the target that was asked for; "" where there was none, as behind a bare CONNECT."""
    return (head.path if isinstance(head, RawRequestMessage) else head.raw_path) or ""


class ClientServer(web.Server):
    """Makes a `ClientConnection` for each that is accepted. `head_timeout_s` may change while it serves."""

    def __init__(
        self, handler: Handler, *, head_timeout_s: Callable[[], float] = lambda: HEAD_TIMEOUT_S, **settings: Any
    ) -> None:
        limits = {
            "max_line_size": wire.LINE_LIMIT,
            "max_field_size": wire.FIELD_LIMIT,
            "max_headers": wire.HEADERS_LIMIT,
            "lingering_time": LINGER_S,
        }
        if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
            raise RuntimeError(
                "aiohttp is without its C parser"
            )  # the start looks for it; this is for what it can't see
        super().__init__(handler, **{**limits, **settings})
        self.head_timeout_s = head_timeout_s
        self.ids = RequestIds()

    def __call__(self) -> RequestHandler:
        return ClientConnection(self, loop=self._loop, **self._kwargs)

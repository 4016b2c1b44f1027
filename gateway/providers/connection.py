"""One HTTP/1.1 connection to a provider: requests written, answers parsed, and nothing believed.

`httptools` (llhttp, strict) refuses what is not HTTP: control characters and bare line ends in heads, two lengths, a length beside
chunks, bad chunks. What it lets pass and we don't is refused here. An answer whose head has come ends in one of four ways:

| the bytes                                                     | the answer                   | the connection |
|---------------------------------------------------------------|------------------------------|----------------|
| whole                                                         | ends                         | goes back      |
| whole, and more behind it, or we have not sent all            | ends                         | is closed      |
| break off                                                     | fails (`Unavailable`)        | is gone        |
| are not HTTP, or frame much and hold nothing (`FRAMING_SHARE`) | fails (`ProtocolError`)      | is closed      |

Before that, on a connection that has served another request, what comes may be a late remainder of that one. Whatever is there
when the connection is taken from the pool disqualifies it (`is_usable`). What comes between that and the provider's
reading our request can't be told from an answer if it looks like one; if it has no status line, or if it comes before our
request has been sent, nothing of the request was processed as far as anybody can know, and `has_responded` stays false: the
transport sends it once more, on a new connection.
"""

import asyncio
import select
from typing import Final, Protocol, cast

import httptools

from gateway.core.errors import ProtocolError, Unavailable
from gateway.core.faults import Fault
from gateway.providers.response import UpstreamResponse, WireRequest

HEAD_LIMIT: Final = 64 * 2**10  # bytes of an answer's head, interim answers included
FRAMING_SHARE: Final = 64  # further bytes that are not body, for each that is: chunks of one byte need five
ONCE: Final = frozenset({b"transfer-encoding", b"content-type", b"content-encoding"})  # two would be two opinions
VERSIONS: Final = ("1.1", "1.0")


class Pool(Protocol):
    """Where a connection goes between two answers."""

    def give_back(self, connection: "Connection") -> None: ...

    def forget(self, connection: "Connection") -> None: ...

    def count_unrequested_data(self) -> None:
        """Note that something came that nobody had asked for."""
        ...


class Connection(asyncio.Protocol):
    """One connection to an origin. Serves one answer at a time and knows nothing of the ones before."""

    def __init__(self, pool: Pool, loop: asyncio.AbstractEventLoop, retire_at: float) -> None:
        self.loop = loop
        self.retire_at = retire_at
        self.idle_since = 0.0
        self.has_responded = False  # the status line of the present answer, or of an interim one, has come
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._poll = select.poll()
        self._response: UpstreamResponse | None = None
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._framing_allowance = 0  # bytes that may still come without being body
        self._was_used = False
        self._in_head = True
        self._is_complete = False
        self._ends_at_close = False
        self._is_reusable = False
        self._is_paused = False
        self._has_no_body = False  # the answer has no body
        self._is_sending = False  # the request's body has not been sent whole
        self._writable: asyncio.Future[None] | None = (
            None  # done when the provider has taken enough; None: there is room
        )

    @property
    def is_usable(self) -> bool:
        """Whether a request may be sent: the connection stands, and nothing has arrived that nobody asked for."""
        return (
            self._transport is not None
            and not self._transport.is_closing()
            and self._response is None
            and not self._poll.poll(0)
        )

    def send(self, request: WireRequest) -> UpstreamResponse:
        """Write a request; its answer is pushed into what is returned."""
        self._response = response = UpstreamResponse(self, request)
        self._framing_allowance, self._in_head, self._is_complete = HEAD_LIMIT, True, False
        self.has_responded = False
        self._has_no_body, self._is_sending = request.is_head, request.upload is not None
        if self._transport is None:  # the provider was quicker to close than we to write
            self.connection_lost(None)
        else:
            self._transport.writelines((request.head, request.body))
        return response

    def write_body(self, data: bytes) -> "asyncio.Future[None] | None":
        """Write a piece of the request's body; give what is done when there is room for more, None where there is."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
        return self._writable

    def body_sent(self) -> None:
        """Note that the request has been written whole."""
        self._is_sending = False

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
        self._response = None
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def pause_writing(self) -> None:
        self._writable = self.loop.create_future()

    def resume_writing(self) -> None:
        room, self._writable = self._writable, None
        if room is not None and not room.done():
            room.set_result(None)

    def data_received(self, data: bytes) -> None:
        response = self._response
        if response is None:  # bytes that nobody asked for: this connection can't be trusted any more
            self._pool.count_unrequested_data()
            self.abort()
            return
        if not self.has_responded and self._was_used and self._has_unsent_data():
            response.fail(ProtocolError("the provider answered before it was asked"))
            return
        self._framing_allowance -= len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._is_reusable = False
            self._push_body(response)
            if not self._is_complete:
                response.fail(ProtocolError("the provider's answer is not HTTP"))
            elif self._response is response:  # surplus bytes behind an answer that is whole: they belong to nobody
                self._pool.count_unrequested_data()
                self._finish(response)
            return
        self._push_body(response)
        if self._response is not response:
            return
        if self._is_complete:
            self._finish(response)
        elif self._framing_allowance < 0:
            what = "the head of the provider's answer is too long" if self._in_head else "the answer holds nothing"
            response.fail(ProtocolError(what))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.resume_writing()
        self._pool.forget(self)
        response, self._response = self._response, None
        if response is None:
            return
        if exc is None and self._ends_at_close and not self._in_head:
            response.end(None)
        elif self._in_head:
            message = "the provider closed the connection before it answered"
            response.end(Unavailable(message, fault=Fault.CUT if self.has_responded else Fault.CONNECT))
        else:
            message = "the provider closed the connection in the middle of its answer"
            response.end(Unavailable(message, fault=Fault.CUT))

    def _has_unsent_data(self) -> bool:
        return self._transport is not None and self._transport.get_write_buffer_size() > 0

    def _push_body(self, response: UpstreamResponse) -> None:
        if self._body:
            data = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            self._body.clear()
            self._framing_allowance += FRAMING_SHARE * len(data)
            response.take(data)

    def _finish(self, response: UpstreamResponse) -> None:
        """Give the connection back before the answer's end is told, so that the next request can have it."""
        self._response = None
        self._was_used = True
        self.resume()
        if self._transport is not None:
            # Else it answered what it had not read, or what we have not sent.
            if self._is_reusable and not self._is_sending and not self._has_unsent_data():
                self._pool.give_back(self)
            else:
                self._transport.abort()
        response.end(None)

    # httptools

    def on_message_begin(self) -> None:
        if self._is_complete:
            raise httptools.HttpParserError("surplus bytes")
        self._headers = {}

    def on_status(self, phrase: bytes) -> None:
        self.has_responded = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer: nothing of it is for anybody
        name = name.lower()
        if name in ONCE and name in self._headers:
            raise httptools.HttpParserError("a header that may stand once stands twice")
        self._headers[name] = value

    def on_headers_complete(self) -> None:
        self.has_responded = True  # there may be no phrase behind the status
        status = self._parser.get_status_code()
        if status < 200:
            if status < 100 or status == 101:
                raise httptools.HttpParserError("no status, or an upgrade that nobody asked for")
            return
        response = self._response
        if response is None:
            return
        headers = self._headers
        codings = headers.get(b"transfer-encoding", b"chunked")
        if codings.lower() != b"chunked" or self._parser.get_http_version() not in VERSIONS:
            raise httptools.HttpParserError("framed as nobody asked for")
        self._in_head = False
        self._ends_at_close = (
            b"content-length" not in headers and b"transfer-encoding" not in headers and status not in (204, 304)
        )
        if self._has_no_body:  # the parser would wait for the body that the head tells of: this was its last answer
            self._is_complete, self._is_reusable = True, False
        response.status, response.headers = status, headers
        if not response.head.done():
            response.head.set_result(None)

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        if not self._in_head:
            self._is_complete = True
            self._is_reusable = self._parser.should_keep_alive()  # the parser knows only now

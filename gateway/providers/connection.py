"""One HTTP/1.1 connection to a provider: requests written, responses parsed, and nothing trusted.

`httptools` (llhttp, strict) rejects what is not HTTP: control characters and bare line ends in heads, two lengths, a length beside
chunks, bad chunks. This file rejects the rest. A response whose head has arrived ends in one of four ways:

| the bytes                                                         | the response            | the connection       |
|-------------------------------------------------------------------|-------------------------|----------------------|
| are complete                                                      | ends                    | returns to the pool  |
| are complete, but more bytes follow, or the request was not sent whole | ends               | is closed            |
| break off                                                         | fails (`Unavailable`)   | is gone              |
| are not HTTP, or are framing with almost no body (`FRAMING_SHARE`) | fails (`ProtocolError`) | is closed            |

Before the head, on a connection that has served another request, the bytes may be a late remainder of that request's response.
Bytes that are there when the connection is taken from the pool disqualify it (`is_usable`). Bytes that arrive between that moment
and the provider's reading of the request can't be distinguished from a response if they look like one. If they have no status
line, or arrive before the request has been sent, the provider has processed nothing as far as the gateway can know:
`has_responded` stays false, and the transport sends the request once more, on a new connection, where that shows in time
(`WireRequest.resend_within_s`).
"""

import asyncio
import select
from typing import Final, Protocol, cast

import httptools

from gateway.core.errors import ProtocolError, Unavailable
from gateway.core.faults import Fault
from gateway.providers.response import UpstreamResponse, WireRequest

HEAD_LIMIT: Final = 64 * 2**10  # bytes of a response's head, interim responses included
FRAMING_SHARE: Final = 64  # bytes of framing for each byte of body: chunks of one byte need five
ONCE: Final = frozenset({b"transfer-encoding", b"content-type", b"content-encoding"})  # two values would be ambiguous
VERSIONS: Final = ("1.1", "1.0")


class Pool(Protocol):
    """The owner of a connection between two responses."""

    def give_back(self, connection: "Connection") -> None: ...

    def forget(self, connection: "Connection") -> None: ...

    def count_unrequested_data(self) -> None:
        """Count bytes that arrived without a request, or after a complete response."""
        ...


class Connection(asyncio.Protocol):
    """One connection to an origin. Serves one response at a time and keeps nothing of earlier ones."""

    def __init__(self, pool: Pool, loop: asyncio.AbstractEventLoop, retire_at: float) -> None:
        self.loop = loop
        self.retire_at = retire_at
        self.idle_since = 0.0
        self.opened_in_s = 0.0  # at least the time of one round trip
        self.has_responded = False  # the status line of the current response, or of an interim one, has arrived
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._poll = select.poll()
        self._response: UpstreamResponse | None = None
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._framing_allowance = 0  # bytes that may still arrive without being body
        self._was_used = False
        self._in_head = True
        self._is_complete = False
        self._ends_at_close = False
        self._is_reusable = False
        self._is_paused = False
        self._has_no_body = False  # of the current response
        self._is_sending = False  # the request has not been sent whole
        self._writable: asyncio.Future[None] | None = None  # None: writable now

    @property
    def is_usable(self) -> bool:
        """Whether a request may be sent: the connection is open, and no unrequested bytes have arrived."""
        return (
            self._transport is not None
            and not self._transport.is_closing()
            and self._response is None
            and not self._poll.poll(0)
        )

    def send(self, request: WireRequest) -> UpstreamResponse:
        """Write a request; return its response, into which the bytes are pushed."""
        self._response = response = UpstreamResponse(self, request)
        self._framing_allowance, self._in_head, self._is_complete = HEAD_LIMIT, True, False
        self.has_responded = False
        self._has_no_body, self._is_sending = request.is_head, request.upload is not None
        if self._transport is None:  # the provider has closed it before the request was written
            self.connection_lost(None)
        else:
            self._transport.writelines((request.head, request.body))
        return response

    def write_body(self, data: bytes) -> "asyncio.Future[None] | None":
        """Write a piece of the request's body; return a future that is done when more can be written, None where it can now."""
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
        """Close at once, without sending the rest."""
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
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    def data_received(self, data: bytes) -> None:
        response = self._response
        if response is None:  # unrequested bytes: the connection can't be trusted any more
            self._pool.count_unrequested_data()
            self.abort()
            return
        if not self.has_responded and self._was_used and self._has_unsent_data():
            response.fail(ProtocolError("the provider responded before the request was sent"))
            return
        self._framing_allowance -= len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._is_reusable = False
            self._push_body(response)
            if not self._is_complete:
                response.fail(ProtocolError("the provider's answer is not HTTP"))
            elif self._response is response:  # surplus bytes after a complete response belong to no request
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
            response.receive(data)

    def _finish(self, response: UpstreamResponse) -> None:
        """Return the connection to the pool, then end the response, so that the next request can use the connection."""
        self._response = None
        self._was_used = True
        self.resume()
        if self._transport is not None:
            # Otherwise the provider responded to a request that it had not read whole.
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
            return  # a trailer: dropped
        name = name.lower()
        if name in ONCE and name in self._headers:
            raise httptools.HttpParserError("a header that must be unique is repeated")
        self._headers[name] = value

    def on_headers_complete(self) -> None:
        self.has_responded = True  # the reason phrase may be missing
        status = self._parser.get_status_code()
        if status < 200:
            if status < 100 or status == 101:
                raise httptools.HttpParserError("no status, or an upgrade that was not requested")
            return
        response = self._response
        if response is None:
            return
        headers = self._headers
        codings = headers.get(b"transfer-encoding", b"chunked")
        if codings.lower() != b"chunked" or self._parser.get_http_version() not in VERSIONS:
            raise httptools.HttpParserError("framed in a way that was not requested")
        self._in_head = False
        self._ends_at_close = (
            b"content-length" not in headers and b"transfer-encoding" not in headers and status not in (204, 304)
        )
        if self._has_no_body:
            # The parser would wait for the body that the head announces: it can parse no further response.
            self._is_complete, self._is_reusable = True, False
        response.status, response.headers = status, headers
        if not response.head.done():
            response.head.set_result(None)

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        if not self._in_head:
            self._is_complete = True
            self._is_reusable = self._parser.should_keep_alive()  # known to the parser only now

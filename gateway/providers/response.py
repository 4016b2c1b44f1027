"""One answer of a provider: its head, its body pushed as it arrives, its clocks.

What belongs to one answer lives here, never on the pooled connection, so a late byte can't reach another client.
"""

import asyncio
from typing import Final, Protocol

import msgspec

from gateway.core.errors import GatewayError, ProtocolError
from gateway.providers.origin import Origin
from gateway.resilience.timeouts import Timeouts
from gateway.streaming.timers import AttemptTimers

EARLY_LIMIT: Final = 64 * 2**10  # bytes taken before anybody asked for the body


class Upload(Protocol):
    """A request's body that is sent in pieces, as they come from the client."""

    def start(self, response: "UpstreamResponse") -> None:
        """Begin to send, by `answer.send` and at last `answer.sent`; called once a connection stands."""
        ...


class WireRequest(msgspec.Struct, frozen=True):
    """One request as it goes to a provider. `head` ends with its blank line; `total_at` is in the loop's time.

    With an `upload` there is no `body`. `is_head`: the answer has no body, whatever its head says.
    """

    origin: Origin
    head: bytes
    body: bytes
    timeouts: Timeouts
    is_stream: bool
    total_at: float | None
    write_timeout_s: float
    upload: Upload | None = None
    is_head: bool = False


class Sink(Protocol):
    """Takes an answer's body as it arrives; synchronous, so that no event waits for the loop."""

    def feed(self, data: bytes) -> None: ...

    def finish(self, error: GatewayError | None) -> None:
        """The body is complete, or broke off with `error`. Nothing follows."""
        ...


class Connection(Protocol):
    """What an answer asks of the connection that it comes on."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def abort(self) -> None: ...

    def write_body(self, data: bytes) -> "asyncio.Future[None] | None": ...

    def body_sent(self) -> None: ...


class UpstreamResponse:
    """One answer: its head once `head` is done, its body pushed into a sink, its clocks kept by `timers`.

    `close` must be called when nobody needs it any more; it does nothing to an answer that is complete.
    """

    __slots__ = ("_connection", "_early", "_ended", "_error", "_loop", "_sink", "head", "headers", "status", "timers")

    def __init__(self, connection: "Connection", request: WireRequest) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}  # names in lower case; of repeated ones the last
        self._loop = connection.loop
        self.head: asyncio.Future[None] = self._loop.create_future()
        self.timers = AttemptTimers(
            request.timeouts,
            is_stream=request.is_stream,
            total_at=request.total_at,
            write_timeout_s=request.write_timeout_s,
            expire=self.fail,
        )
        if request.upload is not None:
            self.timers.pause_first_answer()
        self._connection: Connection | None = connection
        self._sink: Sink | None = None
        self._early: list[bytes] = []
        self._ended = False
        self._error: GatewayError | None = None

    @property
    def content_type(self) -> bytes:
        """The media type in lower case, without parameters."""
        return self.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()

    def header(self, name: bytes) -> str:
        """Give a header as it may be shown to a client: "" where it is missing or is not plain printable ASCII."""
        value = self.headers.get(name, b"").decode("latin-1")
        return value if value.isascii() and value.isprintable() else ""

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

    def write_body(self, data: bytes) -> "asyncio.Future[None] | None":
        """Send a piece of the request's body; give what is done when there is room for more, None where there is.

        What is sent behind the answer's end goes nowhere.
        """
        self.timers.last_at = self._loop.time()  # an answer that has begun is not silent while it is still asked
        return None if self._connection is None else self._connection.write_body(data)

    def body_sent(self) -> None:
        """Note that the request's body has been sent whole."""
        if self._connection is not None:
            self._connection.body_sent()
            self.timers.request_sent()

    def fail(self, error: GatewayError) -> None:
        """End the answer with `error`, unless it has ended, and close its connection."""
        self._hang_up()
        self.end(error)

    def close(self) -> None:
        """Let go of the answer. Where it is not complete, the connection is closed and the provider notices at once."""
        self._hang_up()
        self._sink = None

    def _hang_up(self) -> None:
        self.timers.stop()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    # What follows is called by the connection only.

    def take(self, data: bytes) -> None:
        self.timers.last_at = self._loop.time()
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
        self.timers.stop()
        if not self.head.done():
            self.head.set_exception(error or ProtocolError("the provider's answer has no head"))
            self.head.exception()  # whoever waits is told; nobody has to
        sink, self._sink = self._sink, None  # it holds the answer: else they would wait for the garbage collector
        if sink is not None:
            sink.finish(error)

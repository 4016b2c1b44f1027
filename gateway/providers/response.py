"""One response of a provider: its head, its body pushed as it arrives, its timers.

The state of one response is kept here, never on the pooled connection, so a late byte can't reach another client.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from gateway.core.errors import GatewayError, ProtocolError
from gateway.providers.origin import Origin
from gateway.resilience.timeouts import Timeouts
from gateway.streaming.timers import AttemptTimers

EARLY_LIMIT: Final = 64 * 2**10  # bytes of body that are buffered before a sink is attached
AT_ONCE_S: Final = 0.1  # a kept connection that closes within this time has not processed the request


class Upload(Protocol):
    """A request's body that is sent in pieces, as they arrive from the client."""

    def start(self, response: "UpstreamResponse") -> None:
        """Start sending with `response.write_body`, and end with `response.body_sent`. Called once the connection is open."""
        ...


class WireRequest(msgspec.Struct, frozen=True):
    """One request as it is sent to a provider. `head` includes the blank line; `total_at` is in the loop's time.

    With an `upload` there is no `body`. `is_head`: the response has no body, whatever its head says. `resend_within_s`: how long
    after sending it a kept connection may close for the request to be sent once more; `on_resend` is called before that.
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
    resend_within_s: float = AT_ONCE_S
    on_resend: Callable[[], None] | None = None


class Sink(Protocol):
    """Receives a response's body as it arrives; synchronous, so that no event waits for the loop."""

    def feed(self, data: bytes) -> None: ...

    def finish(self, error: GatewayError | None) -> None:
        """End the body: it is complete, or broke off with `error`. No call follows."""
        ...


class Connection(Protocol):
    """The connection on which a response arrives."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def abort(self) -> None: ...

    def write_body(self, data: bytes) -> "asyncio.Future[None] | None": ...

    def body_sent(self) -> None: ...


class UpstreamResponse:
    """One response: its head once `head` is done, its body pushed into a sink, its timeouts kept by `timers`.

    The owner must call `close` in the end; a response that is complete is not affected.
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
        """Return a header that may be sent to a client: "" where it is missing or is not printable ASCII."""
        value = self.headers.get(name, b"").decode("latin-1")
        return value if value.isascii() and value.isprintable() else ""

    def attach(self, sink: Sink) -> None:
        """Push the body into `sink`, beginning with the buffered part."""
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
        """Stop reading from the provider."""
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        """Read from the provider again."""
        if self._connection is not None:
            self._connection.resume()

    def write_body(self, data: bytes) -> "asyncio.Future[None] | None":
        """Send a piece of the request's body; return a future that is done when more can be sent, None where it can now.

        A piece that is sent after the end of the response is dropped.
        """
        self.timers.last_at = (
            self._loop.time()
        )  # the idle timeout of a response that has begun does not run while the request is still being sent
        return None if self._connection is None else self._connection.write_body(data)

    def body_sent(self) -> None:
        """Note that the request's body has been sent whole."""
        if self._connection is not None:
            self._connection.body_sent()
            self.timers.request_sent()

    def fail(self, error: GatewayError) -> None:
        """End the response with `error`, unless it has ended, and close its connection."""
        self._release_connection()
        self.end(error)

    def close(self) -> None:
        """Release the response. Where it is not complete, its connection is closed, and the provider notices at once."""
        self._release_connection()
        self._sink = None

    def _release_connection(self) -> None:
        self.timers.stop()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    # Called by the connection only

    def receive(self, data: bytes) -> None:
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
            self.head.exception()  # marks the exception as retrieved: there may be no waiter
        sink, self._sink = (
            self._sink,
            None,
        )  # breaks the cycle of sink and response, which would wait for the garbage collector
        if sink is not None:
            sink.finish(error)

"""From a provider's answer to the client, pushed: whoever reads from the provider writes to the client in the same call.

A stream is held back until its first content, so that until then another endpoint can still be asked; from the commit
point on its events pass as they come. When the client is slow the provider is not read, and between the two there is
nothing but the sockets' buffers and one unfinished event.

`EventStream` and `Document` are the two sinks of an answer: held → flowing → ended, and collecting → ended.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Final, Literal, Protocol

from gateway.core.errors import (
    GatewayError,
    ProtocolError,
    StreamFailed,
    StreamInterrupted,
    Unavailable,
    UpstreamError,
)
from gateway.core.faults import Fault
from gateway.streaming.sse import BOM, EventTooLarge, Framer, data_of, events
from gateway.streaming.timers import AttemptTimers

KEEP_ALIVE: Final = b": keep-alive\n\n"
ERROR_EVENT: Final = re.compile(rb"(?:^|[\r\n])event: ?error(?:$|[\r\n])")  # so named in every dialect


class Source(Protocol):
    """The provider's side: an answer that is being received."""

    timers: AttemptTimers

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def close(self) -> None: ...


class ClientWriter(Protocol):
    """The client's side."""

    def write(self, data: bytes) -> bool:
        """Send `data`; give False where the client should be given time: `on_drain` is called when it took enough."""
        ...

    on_drain: Callable[[], None] | None


EventKind = Literal["prelude", "content", "end"]
"""A prelude is held back, and another endpoint may still be asked in its place; with anything else the answer begins."""


class Codec(Protocol):
    """What a dialect knows of its streams."""

    has_failed: bool

    def kind(self, event: bytes) -> EventKind: ...

    def forward(self, block: bytes) -> bytes: ...

    def closing(self) -> bytes | None: ...


class EventStream:
    """A streamed answer. `until_content`, then `pump`; the caller closes the source.

    `limit` bounds one event, and all that comes before the first content. `redact` takes what nobody should see out of an
    error that the provider reports.
    """

    __slots__ = (
        "_codec",
        "_content",
        "_done",
        "_error",
        "_framer",
        "_has_ended",
        "_held",
        "_held_bytes",
        "_limit",
        "_redact",
        "_reply",
        "_source",
    )

    def __init__(
        self, source: Source, codec: Codec, limit: int, redact: Callable[[bytes], bytes] | None = None
    ) -> None:
        self._source = source
        self._codec = codec
        self._redact = redact
        self._framer = Framer(limit)
        self._limit = limit
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._content: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._done: asyncio.Future[None] | None = None
        self._reply: ClientWriter | None = None
        self._has_ended = False
        self._error: GatewayError | None = None

    async def until_content(self) -> None:
        """Wait for the first content. Raises `UpstreamError` where the answer ends or fails before."""
        await self._content

    async def pump(self, reply: ClientWriter, keepalive_s: float | None) -> None:
        """Send everything to `reply`, from what was held back to the end.

        Raises `StreamInterrupted` where the answer broke off, and the error of the clock that ran out.
        """
        self._reply = reply
        timers = self._source.timers
        timers.begin_body()
        held, self._held = b"".join(self._held), []
        self._send(held)
        if not self._has_ended:
            if not timers.stalled_at:
                self._source.resume()
            self._done = asyncio.get_running_loop().create_future()
            if keepalive_s is not None:
                timers.call_on_silence(keepalive_s, self._sign_of_life)
            await self._done
        self._close()

    # Sink

    def feed(self, data: bytes) -> None:
        try:
            block = self._framer.feed(data)
        except EventTooLarge:
            self._fail(ProtocolError("an event of the provider's stream is too long"))
            return
        if not block or self._has_ended:
            return
        if self._reply is not None:
            self._send(block)
        else:
            self._hold(block)

    def finish(self, error: GatewayError | None) -> None:
        if self._has_ended:
            return
        self._has_ended, self._error = True, error
        if not self._content.done():
            self._content.set_exception(error or _no_content())
            self._content.exception()
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _fail(self, error: GatewayError) -> None:
        self._source.close()
        self.finish(error)

    # Before the commit point

    def _hold(self, block: bytes) -> None:
        if not self._held:
            block = block.removeprefix(BOM)  # a comment of ours may have gone out before it
        self._held.append(block)
        self._held_bytes += len(block)
        if self._content.done():
            self._source.pause()  # the request path takes over in the next turn of the loop
            return
        try:
            if any(self._kind(event) != "prelude" for event in events(block)):
                self._content.set_result(None)
            elif self._held_bytes > self._limit:
                self._fail(ProtocolError("the provider's stream goes on and on without content"))
        except UpstreamError as error:
            self._fail(error)

    def _kind(self, event: bytes) -> str:
        if b"error" in event and ERROR_EVENT.search(event):
            raise Unavailable("the provider reported an error in its stream", fault=Fault.HIDDEN_ERROR)
        return self._codec.kind(event)

    # After it

    def _send(self, block: bytes) -> None:
        reply = self._reply
        assert reply is not None
        block = self._codec.forward(block)
        if self._codec.has_failed and self._redact is not None:
            block = self._redact(block)
        if block and not reply.write(block):
            self._source.timers.stall()
            self._source.pause()
            reply.on_drain = self._go_on
        if self._codec.has_failed:  # whatever may follow, nobody needs it
            self._fail(StreamFailed("the provider reported an error in its stream"))

    def _go_on(self) -> None:
        self._source.timers.go_on()
        self._source.resume()

    def _sign_of_life(self) -> None:
        if self._reply is not None and not self._source.timers.stalled_at:
            self._reply.write(KEEP_ALIVE)

    def _close(self) -> None:
        """See that the stream ends as it should, or say that it did not."""
        reply, codec, error = self._reply, self._codec, self._error
        assert reply is not None
        rest = self._framer.rest
        if rest and not rest.strip(b"\r\n"):  # the LF of a CRLF that was cut in two
            reply.write(rest)
        elif error is None and self._is_whole(last := rest.rstrip(b"\r\n") + b"\n\n"):
            self._send(last)
        closing = codec.closing()
        if isinstance(error, StreamFailed):
            raise error
        if closing is None or (closing and error is not None):
            raise (
                StreamInterrupted("the provider's stream broke off") if isinstance(error, Unavailable | None) else error
            )
        if closing:
            reply.write(closing)

    def _is_whole(self, event: bytes) -> bool:
        """Whether an event lacked no more than its empty line, which some providers forget; else it was cut."""
        try:
            self._kind(event)
        except UpstreamError:
            return False
        return bool(data_of(event))


def _no_content() -> UpstreamError:
    return ProtocolError("the provider's stream ended before its first content", fault=Fault.CUT)


class Document:
    """An unstreamed answer, collected up to `limit` bytes."""

    __slots__ = ("_done", "_limit", "_parts", "_size", "_source")

    def __init__(self, source: Source, limit: int) -> None:
        self._source = source
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def read(self) -> bytes:
        """Give the whole body. Raises `UpstreamError`."""
        await self._done
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    # Sink

    def feed(self, data: bytes) -> None:
        if not self._parts:
            self._source.timers.begin_body()
        self._parts.append(data)
        self._size += len(data)
        if self._size > self._limit:
            self._source.close()
            self.finish(ProtocolError("the provider's answer is too long"))

    def finish(self, error: GatewayError | None) -> None:
        if self._done.done():
            return
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)
            self._done.exception()

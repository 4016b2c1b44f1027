"""From a provider's response to the client, pushed: the call that reads from the provider's socket writes to the client's.

A stream is buffered until its first content (failover still possible) and forwarded immediately afterwards: from the commit
point on its events pass as they come. While the client is slow the provider is not read. Between the two there are only the
sockets' buffers and one unfinished event.

`EventStream` and `Document` are the two sinks of a response: held → flowing → ended, and collecting → ended.
"""

import asyncio
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
from gateway.core.response import ClientWriter, Tap
from gateway.streaming.sse import BOM, EventTooLarge, Framer, data_of
from gateway.streaming.timers import AttemptTimers

KEEP_ALIVE: Final = b": keep-alive\n\n"


class UpstreamBody(Protocol):
    """The provider's side: a response that is being received."""

    timers: AttemptTimers

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def close(self) -> None: ...


EventKind = Literal["prelude", "content", "end"]
"""A prelude is held back, so failover is still possible; with anything else the response begins."""


class Codec(Protocol):
    """What a dialect knows of its streams."""

    has_failed: bool

    def holds_content(self, block: bytes) -> bool:
        """Return whether a block that is held back lets the response begin.

        Raises `UpstreamError` where the block has an error, or something that can't be forwarded: failover is still possible.
        """
        ...

    def kind(self, event: bytes) -> EventKind: ...

    def forward(self, block: bytes) -> bytes: ...

    def closing(self, rest: bytes = b"") -> bytes | None:
        """Return what the end of the stream lacks: b"" for nothing; None if the stream broke off.

        `rest`: the bytes after the last whole event.
        """
        ...


class EventStream:
    """A streamed response: `until_content`, then `pump`, at last `close`.

    `limit` bounds one event, and all that comes before the first content. `redact` removes secrets from an error that the
    provider reports.
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
        "_taps",
        "_upstream",
        "_writer",
    )

    def __init__(
        self, upstream: UpstreamBody, codec: Codec, limit: int, redact: Callable[[bytes], bytes] | None = None
    ) -> None:
        self._upstream = upstream
        self._codec = codec
        self._redact = redact
        self._framer = Framer(limit)
        self._limit = limit
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._content: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._done: asyncio.Future[None] | None = None
        self._writer: ClientWriter | None = None
        self._taps: tuple[Tap, ...] = ()
        self._has_ended = False
        self._error: GatewayError | None = None

    async def until_content(self) -> None:
        """Wait for the first content. Raises `UpstreamError` where the response ends or fails before it."""
        await self._content

    async def pump(self, writer: ClientWriter, keepalive_s: float | None, taps: tuple[Tap, ...] = ()) -> None:
        """Send everything to `writer`, from what was held back to the end.

        Raises `StreamInterrupted` where the response broke off, and the error of the timeout that ran out.
        """
        self._writer, self._taps = writer, taps
        timers = self._upstream.timers
        timers.body_started()
        held, self._held = b"".join(self._held), []
        self._send(held)
        if not self._has_ended:
            if not timers.client_paused_at:
                self._upstream.resume()
            self._done = asyncio.get_running_loop().create_future()
            if keepalive_s is not None:
                timers.start_keepalive(keepalive_s, self._send_keepalive)
            await self._done
        self._finish()

    def close(self) -> None:
        """Let go of the response; where it is not complete the provider's connection is closed."""
        self._upstream.close()

    # Sink

    def feed(self, data: bytes) -> None:
        try:
            block = self._framer.feed(data)
        except EventTooLarge:
            self._fail(ProtocolError("an event of the provider's stream is too long"))
            return
        if not block or self._has_ended:
            return
        if self._writer is not None:
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
        self._upstream.close()
        self.finish(error)

    # Before the commit point

    def _hold(self, block: bytes) -> None:
        if not self._held:
            block = block.removeprefix(BOM)  # a keep-alive comment may have gone out before it
        self._held.append(block)
        self._held_bytes += len(block)
        if self._content.done():
            self._upstream.pause()  # the request path takes over in the next turn of the loop
            return
        try:
            if self._codec.holds_content(block):
                self._content.set_result(None)
            elif self._held_bytes > self._limit:
                self._fail(ProtocolError("the provider's stream is too long without content"))
        except UpstreamError as error:
            self._fail(error)

    # After it

    def _send(self, block: bytes) -> None:
        block = self._codec.forward(block)
        if self._codec.has_failed and self._redact is not None:
            block = self._redact(block)
        if block:
            self._write(block)
        if self._codec.has_failed:  # nothing of use can follow
            self._fail(_failed())

    def _write(self, data: bytes) -> None:
        writer = self._writer
        assert writer is not None
        if not writer.write(data):
            self._upstream.timers.client_paused()
            self._upstream.pause()
            writer.on_drain = self._resume
        for tap in self._taps:
            tap.feed(data)

    def _resume(self) -> None:
        self._upstream.timers.client_resumed()
        self._upstream.resume()

    def _send_keepalive(self) -> None:
        if self._writer is not None and not self._upstream.timers.client_paused_at:
            self._writer.write(KEEP_ALIVE)

    def _finish(self) -> None:
        """Check that the stream ended as it should and write its closing events. Raises where it did not."""
        codec, error = self._codec, self._error
        rest = self._framer.rest
        if rest and not rest.strip(b"\r\n"):  # the LF of a CRLF that was cut in two
            self._write(rest)
        elif error is None and self._is_whole(last := rest.rstrip(b"\r\n") + b"\n\n"):
            self._send(last)
            rest = b""
        closing = codec.closing(rest)
        if codec.has_failed:  # also where the error came in one piece with the end
            if closing:
                self._write(closing if self._redact is None else self._redact(closing))
            raise _failed()
        if closing is None or (closing and error is not None):
            raise (
                StreamInterrupted("the provider's stream broke off") if isinstance(error, Unavailable | None) else error
            )
        if closing:
            self._write(closing)

    def _is_whole(self, event: bytes) -> bool:
        """Whether an event lacks no more than its empty line, which some providers omit; else it was cut."""
        try:
            self._codec.kind(event)
        except UpstreamError:
            return False
        return bool(data_of(event))


def _failed() -> StreamFailed:
    return StreamFailed("the provider reported an error in its stream")


def _no_content() -> UpstreamError:
    return ProtocolError("the provider's stream ended before its first content", fault=Fault.CUT)


class Document:
    """An unstreamed response, collected up to `limit` bytes."""

    __slots__ = ("_done", "_limit", "_parts", "_size", "_upstream")

    def __init__(self, upstream: UpstreamBody, limit: int) -> None:
        self._upstream = upstream
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def read(self) -> bytes:
        """Return the whole body. Raises `UpstreamError`."""
        await self._done
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    # Sink

    def feed(self, data: bytes) -> None:
        if not self._parts:
            self._upstream.timers.body_started()
        self._parts.append(data)
        self._size += len(data)
        if self._size > self._limit:
            self._upstream.close()
            self.finish(ProtocolError("the provider's answer is too long"))

    def finish(self, error: GatewayError | None) -> None:
        if self._done.done():
            return
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)
            self._done.exception()

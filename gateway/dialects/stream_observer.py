"""What every observer of a passing stream does: meter it, sample it, and stop it at its end or at an error.

An observer stands between a provider and a client that speak the same dialect. It looks for marks in the bytes and decodes only
the events that hold one: inside a JSON string every quote is escaped, so the bytes `"usage"` can't be part of a text.

States: running → done (the event that ends every stream has passed) or failed (the provider reported an error). Both are
final: nothing is forwarded afterwards.
"""

from collections.abc import Callable
from typing import ClassVar, TypeVar

import msgspec

from gateway.core.errors import ProtocolError
from gateway.core.exchange import Meter
from gateway.streaming.relay import EventKind
from gateway.streaming.sse import count_events, data_of, event_around

T = TypeVar("T")

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class StreamObserver:
    """Observes one stream. A subclass names its marks and handles them.

    `forward` runs once for each block of every stream: it stays one method without further calls where no mark is found.
    """

    __slots__ = ("_meter", "has_failed", "is_done")

    EVENT: ClassVar[str]
    """What one event is called in an error message: "the provider's stream holds something that is no …"."""

    MARKS: ClassVar[tuple[bytes, ...]]
    """Bytes that a block is searched for, in this order."""

    def __init__(self, meter: Meter, *, hides_usage: bool, choices: int) -> None:
        self._meter = meter
        self.is_done = False
        self.has_failed = False

    def kind(self, event: bytes) -> EventKind:
        """Return whether an event holds content, precedes it, or ends the stream.

        Raises `ProtocolError` for an event that is not of the dialect, `Unavailable` for an error that the provider reports.
        """
        data = data_of(event)
        if data is None or not (data := data.strip()):
            return "prelude"
        try:
            return self._kind_of(data)
        except _UNREADABLE:
            raise ProtocolError(f"the provider's stream holds something that is no {self.EVENT}") from None

    def forward(self, block: bytes) -> bytes:
        """Observe a block of whole events; return the part of it that is forwarded to the client."""
        if self.is_done or self.has_failed:
            return b""
        meter = self._meter
        meter.events += count_events(block)
        meter.bytes_out += len(block)
        if meter.events >= meter.sample_at:
            meter.sample(block)
        for mark in self.MARKS:
            if block.find(mark) >= 0:  # `in` costs twice as much: it tries the bytes as a number first
                block = self._at_mark(mark, block)
        return block

    def closing(self) -> bytes | None:
        """Return what the end of the stream lacks: b"" for nothing; None if the stream broke off."""
        return b"" if self.is_done or self.has_failed else None

    def _kind_of(self, data: bytes) -> EventKind:
        """Return the kind of an event from its data, without white space around. May raise msgspec's errors."""
        raise NotImplementedError

    def _at_mark(self, mark: bytes, block: bytes) -> bytes:
        """Observe a block that holds `mark`; return the part of it that is forwarded."""
        return self._until(mark, block)

    def _until(self, mark: bytes, block: bytes) -> bytes:
        """Return a block up to and including the event that ends the stream; the whole block if none does."""
        at = block.find(mark)
        while at >= 0:
            start, end = event_around(block, at)
            if self._ends_with(block[start:end], mark):
                return block[:end]
            at = block.find(mark, end)
        return block

    def _ends_with(self, event: bytes, mark: bytes) -> bool:
        """Return whether an event that holds `mark` ends the stream, and note how: done or failed."""
        raise NotImplementedError


def decoded(decode: Callable[[bytes], T], event: bytes) -> T | None:
    """Return the decoded data of an event; None if it is not readable."""
    try:
        return decode(data_of(event) or b"")
    except _UNREADABLE:
        return None

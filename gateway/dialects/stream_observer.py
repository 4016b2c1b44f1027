"""What every observer of a passing stream does: meter it, sample it, and judge how it ended.

An observer stands between a provider and a client that speak the same dialect; in a translation it runs before the decoder. It
looks for marks in the bytes and decodes only the events that hold one: inside a JSON string every quote is escaped, so the
bytes `"usage"` can't be part of a text.

States: running → done (the event that ends every stream has passed) or failed (the provider reported an error). Both are
final: nothing is forwarded afterwards.

**Ended well** is defined here for every pair of dialects (`has_ended_well`). The provider has said why the answer ended, for
every choice, and its last word is a known reason (`stop_reasons.py`); no error was reported; and the event that ends every
stream has passed. Where that event is only a convention (`[DONE]`), the end of the body takes its place, unless a reason came
too early: with text, or before further text. Everything else broke off, and the event that ends the stream is not forwarded.
"""

from collections.abc import Callable
from typing import ClassVar, TypeVar

import msgspec

from gateway.core.conversation import Failure
from gateway.core.errors import HiddenError, ProtocolError
from gateway.core.exchange import Meter
from gateway.core.faults import Fault
from gateway.dialects.stop_reasons import STOPS, given_reason
from gateway.dialects.stream_errors import is_named_error, read_failure, status_of
from gateway.streaming.relay import EventKind
from gateway.streaming.sse import count_events, data_of, event_around, events

T = TypeVar("T")

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
NAMED_ERROR = b"event: error"


class StreamObserver:
    """Observes one stream. A subclass names its marks and handles them.

    `forward` runs once for each block of every stream: it stays one method without further calls where no mark is found.
    """

    __slots__ = (
        "_choices",
        "_choices_seen",
        "_has_begun",
        "_is_early",
        "_is_reviewing",
        "_meter",
        "_no_reason",
        "_reasons",
        "has_failed",
        "is_done",
    )

    EVENT: ClassVar[str]
    """What one event is called in an error message: "the provider's stream holds something that is no …"."""

    MARKS: ClassVar[tuple[bytes, ...]]
    """Bytes that a block is searched for, in this order: reasons before ends, ends before errors."""

    ENDS_WITH_BODY: ClassVar[bool] = False
    """Whether the end of the body may take the place of the event that ends every stream."""

    def __init__(self, meter: Meter, *, hides_usage: bool, choices: int) -> None:
        self._meter = meter
        self._choices = choices
        self._reasons: dict[int, str] = {}  # the last reason of each choice
        self._choices_seen: set[int] = set()  # choices with content, as far as blocks are reviewed
        self._is_early = False  # a reason came with content, or before further content
        self._is_reviewing = choices > 1  # every block is reviewed
        self._no_reason = b""  # what each event without a reason has exactly once; b"" if there is no such thing
        self._has_begun = False  # content or a reason was seen before the commit point
        self.is_done = False
        self.has_failed = False

    def has_ended_well(self) -> bool:
        """Return whether the stream has ended well: the one definition, for all dialects, the same or translated."""
        reasons = self._reasons
        if self.has_failed or not reasons or not self._choices_seen <= reasons.keys():
            return False
        if not all(reason in STOPS for reason in reasons.values()):
            return False
        if self.is_done:
            return True
        return self.ENDS_WITH_BODY and not self._is_early and len(reasons) >= self._choices

    def holds_content(self, block: bytes) -> bool:
        """Return whether a block that is held back has content, so that the response can begin. Raises as `kind` does."""
        return any(self.kind(event) != "prelude" for event in events(block))

    def kind(self, event: bytes) -> EventKind:
        """Return whether an event holds content, precedes it, or ends the stream.

        Raises `HiddenError` for an error that the provider reports, `ProtocolError` for an event that is not of the dialect,
        and for one that ends a stream before its content.
        """
        data = data_of(event)
        is_named = is_named_error(event)
        if (data is None or not (data := data.strip())) and not is_named:
            return "prelude"
        try:
            kind = self._kind_of(data or b"")
        except UNREADABLE:
            kind = None
        except HiddenError as error:
            failure = read_failure(event)
            raise error if failure is None else self._hidden_error(failure) from None
        if kind in (None, "prelude") or is_named or b'"error"' in event:
            failure = read_failure(event)
            if failure is not None:
                raise self._hidden_error(failure)
        if kind is None:
            raise ProtocolError(f"the provider's stream holds something that is no {self.EVENT}")
        if kind == "content":
            self._has_begun = True
        elif kind == "end" and not self._has_begun:
            raise ProtocolError("the provider's stream ended before its first content", fault=Fault.CUT)
        return kind

    def forward(self, block: bytes) -> bytes:
        """Observe a block of whole events; return the part of it that is forwarded to the client."""
        if self.is_done or self.has_failed:
            return self._after_end(block)
        meter = self._meter
        count = count_events(block)
        meter.events += count
        meter.bytes_out += len(block)
        if meter.events >= meter.sample_at:
            meter.sample(block)
        if self._is_reviewing:
            self._review(block)
        elif self._no_reason and block.count(self._no_reason) != count:
            self._seek_reason(block)
        for mark in self.MARKS:
            if block.find(mark) >= 0:  # `in` costs twice as much: it tries the bytes as a number first
                block = self._at_mark(mark, block)
        return block

    def closing(self, rest: bytes = b"") -> bytes | None:
        """Return what the end of the stream lacks: b"" for nothing; None if the stream broke off.

        `rest`: the bytes after the last whole event.
        """
        return b"" if self.has_failed or self.has_ended_well() else None

    def _kind_of(self, data: bytes) -> EventKind:
        """Return the kind of an event from its data, without white space around. May raise msgspec's errors."""
        raise NotImplementedError

    def _at_mark(self, mark: bytes, block: bytes) -> bytes:
        """Observe a block that holds `mark`; return the part of it that is forwarded."""
        return self._until(mark, block)

    def _until(self, mark: bytes, block: bytes) -> bytes:
        """Return a block up to the event that ends the stream, with it where the client may have it; otherwise the block."""
        at = -1 if self.has_failed else block.find(mark)
        while at >= 0:
            start, end = event_around(block, at)
            event = block[start:end]
            if self._ends_with(event, mark):
                return block[:start] + self._last(event, block[end:])
            at = block.find(mark, end)
        return block

    def _ends_with(self, event: bytes, mark: bytes) -> bool:
        """Return whether an event that holds `mark` ends the stream, and note how: done or failed."""
        raise NotImplementedError

    def _last(self, event: bytes, rest: bytes) -> bytes:
        """Return what the client gets of the event that ends the stream. `rest`: what follows in its block."""
        if not self.has_failed:
            return event if self.has_ended_well() else b""
        failure = read_failure(event)
        return event if failure is None or self._is_readable(event) else self._encode_failure(failure)

    def _after_end(self, block: bytes) -> bytes:
        """Return what the client gets of a block after the end."""
        return b""

    # Reasons

    def _review(self, block: bytes) -> None:
        """Note the reasons and the content in every event of a block."""

    def _seek_reason(self, block: bytes) -> None:
        """Begin to review with a block that holds the first reason."""

    def _note(self, choice: int, reason: str | None, *, has_content: bool) -> None:
        """Note what one event says of a choice."""
        reason = given_reason(reason)
        if has_content:
            self._choices_seen.add(choice)
            self._is_early = self._is_early or bool(reason) or choice in self._reasons
        if reason:
            self._reasons[choice] = reason

    # Errors

    def _fails_with(self, event: bytes) -> bool:
        """Return whether an event reports an error, and note it."""
        if read_failure(event) is None:
            return False
        self.has_failed, self.is_done = True, False
        return True

    def _is_readable(self, event: bytes) -> bool:
        """Return whether the official clients of the dialect raise the error in an event."""
        raise NotImplementedError

    def _encode_failure(self, failure: Failure) -> bytes:
        """Return an error as an event of the dialect."""
        raise NotImplementedError

    def _hidden_error(self, failure: Failure) -> HiddenError:
        return HiddenError(
            failure.message, body=(data_of(self._encode_failure(failure)) or b""), stated=status_of(failure)
        )

    def _unknown_reason(self, reason: str) -> HiddenError:
        """Return the error of a stream that ends before its content, for a reason that is no end."""
        return self._hidden_error(Failure(f"the answer ended with {reason[:40]!r}"))


def decoded(decode: Callable[[bytes], T], event: bytes) -> T | None:
    """Return the decoded data of an event; None if it is not readable."""
    try:
        return decode(data_of(event) or b"")
    except UNREADABLE:
        return None

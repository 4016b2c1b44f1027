"""Parts of a streamed answer, written one after the other.

In messages and responses a part is announced, grows and ends before the next begins. Chat completions don't signal the end of
a part, and their tool calls may interleave. So a part ends when another begins, except a tool call: it ends only once its
arguments are whole JSON, and events of other parts wait until then.
"""

from typing import Final

from gateway.core.conversation import RefusalDelta, Signature, TextDelta, ThinkingDelta, ToolCallDelta, ToolCallStart
from gateway.dialects.json_text import Pieces, unquote

PARSED_LIMIT: Final = (
    8 * 2**20
)  # bytes of arguments that are read to find their end, while others wait; then it comes last

Part = TextDelta | ThinkingDelta | Signature | RefusalDelta | ToolCallStart | ToolCallDelta


class PartOrder:
    """The base of encoders that write one part after the other. A subclass writes an event, and keeps `_part` and `_arguments`."""

    __slots__ = ("_arguments", "_last", "_parsed_bytes", "_part", "_waiting")

    def __init__(self) -> None:
        self._part = -1  # the index of the open part; -1: none is open
        self._arguments: Pieces | None = None  # of the open part, if that is a call
        self._waiting: dict[int, list[Part]] = {}  # events by part, in the order in which the parts began
        self._last: Part | None = None
        self._parsed_bytes = 0  # bytes of arguments

    def append(self, string: bytes) -> bytes:
        if self._waiting and isinstance(self._last, TextDelta | ThinkingDelta | RefusalDelta | ToolCallDelta):
            return self._in_order(type(self._last)(self._last.index, unquote(string)))
        return self._append(string)

    def _write(self, event: Part) -> bytes:
        """Return an event, after the end of the part before where it begins another."""
        raise NotImplementedError

    def _append(self, string: bytes) -> bytes:
        """Return the event that appends a JSON string to the open part."""
        raise NotImplementedError

    def _in_order(self, event: Part) -> bytes:
        """Return an event, and those that waited for it; b"" if it has to wait."""
        self._last = event
        if event.index == self._part:
            return self._write(event) + self._catch_up()
        if self._waiting or not self._is_whole:
            self._waiting.setdefault(event.index, []).append(event)
            return b""
        return self._write(event)

    @property
    def _is_whole(self) -> bool:
        """Return whether the open part can end."""
        if self._arguments is None:
            return True
        if self._parsed_bytes > PARSED_LIMIT:
            return False
        self._parsed_bytes += self._arguments.size
        return self._arguments.is_json

    def _catch_up(self) -> bytes:
        """Return the events that waited for parts that have ended."""
        written: list[bytes] = []
        while self._waiting and self._is_whole:
            written += map(self._write, self._waiting.pop(next(iter(self._waiting))))
        return b"".join(written)

    def _write_waiting(self) -> bytes:
        """Return all waiting events; no part follows."""
        written = [self._write(event) for events in self._waiting.values() for event in events]
        self._waiting = {}
        return b"".join(written)

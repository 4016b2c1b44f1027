"""Framing of server-sent events: where an event ends, however the network cut the stream (WHATWG HTML, section 9.2).

A line ends with LF, CRLF or CR; an event ends with an empty line. Bytes are cut between events only, so a frame, a
UTF-8 character or a JSON document is never split.
"""

import re
from collections.abc import Iterator

# Two line ends in a row. Possessive: a CR keeps its LF, otherwise one CRLF would count as two line ends.
_BOUNDARY = re.compile(rb"(?:\r\n?+|\n)(?:\r\n?+|\n)")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_WHOLE = (b"\n\n", b"\n\r\n")  # how a block of whole events nearly always ends
BOM = b"\xef\xbb\xbf"


class EventTooLarge(Exception):
    """An event is longer than the limit."""


class Framer:
    """Cuts a byte stream into blocks of whole events, and keeps the unfinished rest. An event may have up to `limit` bytes.

    A CR ends its line at once, so that no event waits for the next byte. Where an LF follows, the next block begins with it:
    an empty line between two events, which has no meaning.
    """

    __slots__ = ("_limit", "_rest")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Add bytes; return every event that is now complete, as one block, b"" where there is none. Raises `EventTooLarge`."""
        rest = self._rest
        if not rest:
            if data.endswith(_WHOLE):
                return data if len(data) <= self._limit else self._checked(data)
            end = _last_boundary(data, 0)
            rest += data[end:]
            block = data[:end]
        else:
            last = len(rest) - 1  # may be the first of the two line ends
            rest += data
            end = _last_boundary(rest, last)
            block = bytes(rest[:end])
            del rest[:end]
        if len(rest) > self._limit:
            raise EventTooLarge
        return block if len(block) <= self._limit else self._checked(block)

    def _checked(self, block: bytes) -> bytes:
        """Return a block that is longer than `limit`. Raises `EventTooLarge` where one of its events is longer."""
        if any(len(event) > self._limit and len(event.lstrip(b"\r\n")) > self._limit for event in events(block)):
            raise EventTooLarge
        return block

    @property
    def rest(self) -> bytes:
        """The bytes of the event that has not ended."""
        return bytes(self._rest)


def _last_boundary(data: bytes | bytearray, start: int) -> int:
    """Return the index after the last complete event in `data`, searched from `start`; 0 where there is none."""
    if data.find(b"\r", start) < 0:
        end = data.rfind(b"\n\n", start)
        return 0 if end < 0 else end + 2
    end = 0
    for found in _BOUNDARY.finditer(data, start):
        end = found.end()
    return end


def events(block: bytes) -> Iterator[bytes]:
    """Yield each event of a block of whole events, including its empty line."""
    start = 0
    if b"\r" not in block:
        while (end := block.find(b"\n\n", start) + 2) > 1:
            yield block[start:end]
            start = end
    else:
        for found in _BOUNDARY.finditer(block):
            yield block[start : found.end()]
            start = found.end()
    if start < len(block):
        yield block[start:]


def event_around(block: bytes, index: int) -> tuple[int, int]:
    """Return the start and end of the event at `index` of a block of whole events."""
    if b"\r" not in block:
        before, end = block.rfind(b"\n\n", 0, index), block.find(b"\n\n", index)
        return (0 if before < 0 else before + 2), (len(block) if end < 0 else end + 2)
    start = 0
    for found in _BOUNDARY.finditer(block):
        if found.end() > index:
            return start, found.end()
        start = found.end()
    return start, len(block)


def data_of(event: bytes) -> bytes | None:
    """Return the data of one event, its `data` lines joined with LF; None for comments and events without data."""
    if event.startswith(b"data: ") and event.find(b"\n") >= len(event) - 2 and b"\r" not in event:
        return event[6:].rstrip(b"\n")
    lines = []
    for line in _LINE_END.split(event):
        name, colon, value = line.partition(b":")
        if name == b"data":
            lines.append(value.removeprefix(b" ") if colon else b"")
    return b"\n".join(lines) if lines else None


def count_events(block: bytes) -> int:
    """Return the number of data lines in a block of whole events: cheap, and as a number of events accurate enough for billing."""
    return block.count(b"\ndata:") + block.startswith(b"data:")

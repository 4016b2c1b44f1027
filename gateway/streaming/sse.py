"""Where server-sent events end, whatever the network did to them (WHATWG HTML, section 9.2).

A line ends with LF, CRLF or CR; an event ends with an empty line. Bytes are only ever cut between events, so a frame, a
UTF-8 character or a JSON document is never torn apart.
"""

import re
from collections.abc import Iterator

# Two line ends in a row. A CR takes its LF with it for good: else the two of one CRLF would count as two line ends.
_BOUNDARY = re.compile(rb"(?:\r\n?+|\n)(?:\r\n?+|\n)")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_WHOLE = (b"\n\n", b"\n\r\n")  # how whole events nearly always end
BOM = b"\xef\xbb\xbf"


class EventTooLarge(Exception):
    """An event grew over the limit before it ended."""


class Framer:
    """Cuts a byte stream into blocks of whole events; keeps what is not yet finished. No event may have over `limit` bytes.

    A CR ends its line at once, so that no event waits for the next byte. Where an LF follows after all, the next block
    begins with it: an empty line between two events, which means nothing.
    """

    __slots__ = ("_limit", "_rest")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Take what arrived and give every event that is complete by now, as one block: b"" where none is.

        Raises `EventTooLarge`.
        """
        rest = self._rest
        if not rest:
            if data.endswith(_WHOLE):
                return data if len(data) <= self._limit else self._judged(data)
            end = _last_boundary(data, 0)
            rest += data[end:]
            block = data[:end]
        else:
            last = len(rest) - 1  # it may be the first of the two line ends
            rest += data
            end = _last_boundary(rest, last)
            block = bytes(rest[:end])
            del rest[:end]
        if len(rest) > self._limit:
            raise EventTooLarge
        return block if len(block) <= self._limit else self._judged(block)

    def _judged(self, block: bytes) -> bytes:
        """Give a block that is longer than an event may be, unless one of its events is."""
        if any(len(event) > self._limit and len(event.lstrip(b"\r\n")) > self._limit for event in events(block)):
            raise EventTooLarge
        return block

    @property
    def rest(self) -> bytes:
        """What has arrived of an event that has not ended."""
        return bytes(self._rest)


def _last_boundary(data: bytes | bytearray, start: int) -> int:
    """Give the index behind the last complete event in `data`, looking from `start`; 0 where there is none."""
    if data.find(b"\r", start) < 0:
        end = data.rfind(b"\n\n", start)
        return 0 if end < 0 else end + 2
    end = 0
    for found in _BOUNDARY.finditer(data, start):
        end = found.end()
    return end


def events(block: bytes) -> Iterator[bytes]:
    """Give each event of a block of whole events, its ending included."""
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
    """Give where the event at `index` of a block of whole events starts and ends."""
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
    """Give the data of one event, its `data` lines joined with LF; None for comments and events without data."""
    if event.startswith(b"data: ") and event.find(b"\n") >= len(event) - 2 and b"\r" not in event:
        return event[6:].rstrip(b"\n")
    lines = []
    for line in _LINE_END.split(event):
        name, colon, value = line.partition(b":")
        if name == b"data":
            lines.append(value.removeprefix(b" ") if colon else b"")
    return b"\n".join(lines) if lines else None


def count_events(block: bytes) -> int:
    """Give the number of events in a block of whole events: data lines, which is close enough to bill by and cheap."""
    return block.count(b"\ndata:") + block.startswith(b"data:")

"""Steps of a script, and how events become HTTP chunks."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from gateway.providers.simulator_behaviour import Behaviour


@dataclass(frozen=True, slots=True)
class Until:
    """Wait until so many seconds after the request was read: pauses do not add up their own lateness."""

    seconds: float


class Fate(Enum):
    """How a script can end before its time."""

    CUT = "cut"  # the connection is reset
    STALL = "stall"  # nothing more comes, ever
    CLOSE = "close"  # the connection is closed, in good order


Step = bytes | Until | Fate


def framed(events: Iterable[Step], behaviour: Behaviour) -> Iterator[Step]:
    """Put events into HTTP chunks: some at a time (`join`), in pieces (`chunk`), compressed (`gzip`)."""
    squeeze = zlib.compressobj(wbits=31) if behaviour.gzip else None
    pending: list[bytes] = []
    for step in events:
        if isinstance(step, bytes):
            pending.append(step)
            if len(pending) >= (behaviour.join or 1):
                yield from _chunks(_taken(pending), behaviour, squeeze)
            continue
        if isinstance(step, Until):
            if not pending:
                yield step
            continue
        yield from _chunks(_taken(pending), behaviour, squeeze)
        yield step
        return
    yield from _chunks(_taken(pending), behaviour, squeeze)
    if squeeze:
        yield _chunk(squeeze.flush())
    yield b"0\r\n\r\n"


def pieces(data: bytes, size: int) -> Iterator[Step]:
    """Give `data` piece by piece; the wait of nothing between two lets each leave by itself."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
        yield Until(0.0)


def _taken(pending: list[bytes]) -> bytes:
    taken = b"".join(pending)
    pending.clear()
    return taken


def _chunks(data: bytes, behaviour: Behaviour, squeeze: "zlib._Compress | None") -> Iterator[Step]:
    if not data:
        return
    if behaviour.crlf:
        data = data.replace(b"\n", b"\r\n")
    if squeeze:
        data = squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH)
    if not behaviour.chunk:
        yield _chunk(data)
        return
    for step in pieces(data, behaviour.chunk):
        yield _chunk(step) if isinstance(step, bytes) else step


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)

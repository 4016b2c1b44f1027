"""The steps of a script, and the encoding of events as HTTP chunks."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from gateway.providers.simulator_behaviour import Behaviour


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Wait until `seconds` after the request was read. Measured from there, the delays of several waits don't add up."""

    seconds: float


class ConnectionFault(Enum):
    """A fault of the connection that ends a script early."""

    RESET = "reset"  # reset the connection
    STALL = "stall"  # send nothing more, keep the connection open
    CLOSE = "close"  # close the connection in good order


Step = bytes | WaitUntil | ConnectionFault


def encode_chunks(events: Iterable[Step], behaviour: Behaviour) -> Iterator[Step]:
    """Encode events as HTTP chunks: several in one (`join`), in pieces (`chunk`), compressed (`gzip`)."""
    compressor = zlib.compressobj(wbits=31) if behaviour.gzip else None
    pending: list[bytes] = []
    for step in events:
        if isinstance(step, bytes):
            pending.append(step)
            if len(pending) >= (behaviour.join or 1):
                yield from _chunks(_pop_all(pending), behaviour, compressor)
            continue
        if isinstance(step, WaitUntil):
            if not pending:
                yield step
            continue
        yield from _chunks(_pop_all(pending), behaviour, compressor)
        yield step
        return
    yield from _chunks(_pop_all(pending), behaviour, compressor)
    if compressor:
        yield _chunk(compressor.flush())
    yield b"0\r\n\r\n"


def pieces(data: bytes, size: int) -> Iterator[Step]:
    """Yield `data` in pieces of `size`; the empty wait between two makes each a write of its own."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
        yield WaitUntil(0.0)


def _pop_all(pending: list[bytes]) -> bytes:
    data = b"".join(pending)
    pending.clear()
    return data


def _chunks(data: bytes, behaviour: Behaviour, compressor: "zlib._Compress | None") -> Iterator[Step]:
    if not data:
        return
    if behaviour.crlf:
        data = data.replace(b"\n", b"\r\n")
    if compressor:
        data = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
    if not behaviour.chunk:
        yield _chunk(data)
        return
    for step in pieces(data, behaviour.chunk):
        yield _chunk(step) if isinstance(step, bytes) else step


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)

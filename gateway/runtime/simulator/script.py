"""An answer as a script: the exact bytes on the wire, the pauses between them, and how it ends.

Pure: the same behaviour, request and number give the same script. Where several fields of a behaviour speak, the order
is `cut_head`, `stall_head`, `error`, `html`, then what happens inside an answer.
"""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from math import ceil
from typing import Final

from gateway.providers.simulator import Behaviour
from gateway.runtime.simulator.answer import COMMENT, DONE, Answer, error_body

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"

# What providers send beside the answer, and a gateway must keep to itself.
OWN_HEADERS: Final = (
    "server: simulator",
    "x-request-id: req-of-the-provider",
    "openai-organization: simulated-organization",
    "openai-processing-ms: 7",
    "x-ratelimit-remaining-requests: 4999",
    "set-cookie: simulator=secret; Path=/; HttpOnly",
)

_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
}
_ERROR_TYPES: Final = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_PIECE: Final = 65536


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


def script(answer: Answer) -> Iterator[Step]:
    """Give the steps that answer one request."""
    behaviour = answer.behaviour
    if behaviour.head:
        yield Until(behaviour.head)
    if behaviour.cut_head:
        yield Fate.CUT
    elif behaviour.stall_head:
        yield Fate.STALL
    elif behaviour.error is not None:
        yield from refusal(behaviour.error, f"simulated error {behaviour.error}", "simulated", behaviour.retry_after)
    elif behaviour.html:
        yield from _whole(b"<!doctype html><title>Welcome</title><p>simulated page", HTML, behaviour)
    elif answer.ask.stream:
        yield _head(200, EVENT_STREAM, ["transfer-encoding: chunked", "cache-control: no-cache", *_encoding(behaviour)])
        yield from _framed(_events(answer), behaviour)
        yield from _afterwards(behaviour)
    else:
        yield from _unstreamed(answer)


def refusal(status: int, message: str, code: str, retry_after_s: float | None = None) -> Iterator[Step]:
    """Give the steps of an error answer; a redirect where `status` is one."""
    kind = _ERROR_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    body = error_body(message, kind, code)
    more = [f"content-length: {len(body)}"]
    if retry_after_s is not None:
        more.append(f"retry-after: {ceil(retry_after_s)}")
    if status < 400:
        more.append("location: http://127.0.0.1:9/elsewhere")
    yield _head(status, JSON, more) + body


def _unstreamed(answer: Answer) -> Iterator[Step]:
    behaviour = answer.behaviour
    yield Until(behaviour.first + max(answer.count - 1, 0) * _gap(behaviour))
    yield from _whole(b'{"id": "chatcmpl-' if behaviour.garbage else answer.whole(), JSON, behaviour)


def _whole(body: bytes, content_type: str, behaviour: Behaviour) -> Iterator[Step]:
    if behaviour.gzip:
        body = zlib.compress(body, wbits=31)
    length = len(body) + (behaviour.long_length or 0)
    head = _head(200, content_type, [f"content-length: {length}", *_encoding(behaviour)])
    if behaviour.cut_after is not None or behaviour.cut_inside is not None:
        yield head + body[: len(body) // 2]
        yield Fate.CUT
    elif behaviour.stall_after is not None:
        yield head + body[: len(body) // 2]
        yield Fate.STALL
    else:
        if behaviour.chunk:
            yield head
            yield from _pieces(body, behaviour.chunk)
        else:
            yield head + body
        yield from _afterwards(behaviour)


def _afterwards(behaviour: Behaviour) -> Iterator[Step]:
    if behaviour.surplus:
        yield b"x" * behaviour.surplus
    if behaviour.close or behaviour.long_length:
        yield Fate.CLOSE


def _events(answer: Answer) -> Iterator[Step]:
    """Give the events of a stream, each as one step, unframed."""
    behaviour = answer.behaviour
    if behaviour.garbage:
        yield b"data: {not json\n\n"
        return
    if behaviour.huge_line:
        yield from _huge_line(behaviour.huge_line)
        return
    if not behaviour.no_role:
        yield answer.role()
    gap_s = _gap(behaviour)
    sent = 0
    for event in answer.contents():
        if _stops(behaviour, sent):
            break
        if sent == 0 or gap_s:
            yield Until(behaviour.first + sent * gap_s)
        if behaviour.comments:
            yield COMMENT
        if sent == behaviour.cut_inside:
            yield event[: len(event) // 2]
            yield Fate.CUT
            return
        yield event
        sent += 1
    if _stops(behaviour, sent):
        yield from _stop(behaviour, sent)
        return
    yield from answer.ending()
    if not behaviour.no_done:
        yield DONE


def _stops(behaviour: Behaviour, sent: int) -> bool:
    return sent in (behaviour.cut_after, behaviour.stall_after, behaviour.fail_after, behaviour.end_after)


def _stop(behaviour: Behaviour, sent: int) -> Iterator[Step]:
    if sent == behaviour.cut_after:
        yield Fate.CUT
    elif sent == behaviour.stall_after:
        yield Fate.STALL
    elif sent == behaviour.fail_after:
        yield b"data: " + error_body("simulated failure in the stream", "server_error", "simulated") + b"\n\n"


def _huge_line(size: int) -> Iterator[Step]:
    yield b'data: {"choices":[{"index":0,"delta":{"content":"'
    piece = b"x" * _PIECE
    for start in range(0, size, _PIECE):
        yield piece[: size - start]


def _framed(events: Iterable[Step], behaviour: Behaviour) -> Iterator[Step]:
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
    for step in _pieces(data, behaviour.chunk):
        yield _chunk(step) if isinstance(step, bytes) else step


def _pieces(data: bytes, size: int) -> Iterator[Step]:
    """Give `data` piece by piece; the wait of nothing between two lets each leave by itself."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
        yield Until(0.0)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _gap(behaviour: Behaviour) -> float:
    return 1 / behaviour.rate if behaviour.rate else 0.0


def _encoding(behaviour: Behaviour) -> list[str]:
    return ["content-encoding: gzip"] if behaviour.gzip else []


def _head(status: int, content_type: str, more: Iterable[str]) -> bytes:
    first = f"HTTP/1.1 {status} {_REASONS.get(status, 'Simulated')}"
    return "\r\n".join((first, f"content-type: {content_type}", *OWN_HEADERS, *more, "", "")).encode()

"""An answer as a script: the exact bytes on the wire, the pauses between them, and how it ends.

Pure: the same face, behaviour, request and number give the same script. Where several fields of a behaviour speak, the order
is `cut_head`, `stall_head`, `error`, `quota`, `policy`, `window`, `html`, then what happens inside an answer.
"""

import zlib
from collections.abc import Iterator
from math import ceil
from typing import Final

from gateway.providers.simulator_behaviour import Behaviour
from gateway.simulator.answer import Answer
from gateway.simulator.face import Face, Stream, Trouble
from gateway.simulator.framing import Fate, Step, Until, framed, pieces
from gateway.simulator.heads import HTML, JSON, head

COMMENT: Final = b": keep-alive\n\n"
_PIECE: Final = 65536


def script(face: Face, answer: Answer) -> Iterator[Step]:
    """Give the steps that answer one request."""
    behaviour = answer.behaviour
    if behaviour.head:
        yield Until(behaviour.head)
    if behaviour.cut_head:
        yield Fate.CUT
        return
    if behaviour.stall_head:
        yield Fate.STALL
        return
    trouble = _trouble(answer)
    if trouble is not None:
        yield refusal(face, trouble, behaviour, answer.created)
        return
    own = face.own_headers(behaviour, answer.created, False)
    if behaviour.html:
        yield from _whole(b"<!doctype html><title>Welcome</title><p>simulated page", HTML, behaviour, own)
        return
    told = face.tell(answer)
    if isinstance(told, bytes):
        yield Until(behaviour.first + max(answer.count - 1, 0) * _gap(behaviour))
        yield from _whole(b'{"id": "chatcmpl-' if behaviour.garbage else told, JSON, behaviour, own)
    else:
        more = (*own, "transfer-encoding: chunked", "cache-control: no-cache", *_encoding(behaviour))
        yield head(200, told.content_type, more)
        yield from framed(_events(told, behaviour), behaviour)
        yield from _afterwards(behaviour)


def refusal(face: Face, trouble: Trouble, behaviour: Behaviour, created: int) -> bytes:
    """Give the bytes of an error answer; a redirect where the status is one."""
    status, body = face.refusal(trouble)
    more = [*face.own_headers(behaviour, created, True), f"content-length: {len(body)}"]
    if behaviour.retry_after is not None and trouble.code == "simulated":
        more.append(f"retry-after: {ceil(behaviour.retry_after)}")
    if status < 400:
        more.append("location: http://127.0.0.1:9/elsewhere")
    return head(status, JSON, more) + body


def _trouble(answer: Answer) -> Trouble | None:
    behaviour = answer.behaviour
    if behaviour.error is not None:
        return Trouble(behaviour.error, "simulated", f"simulated error {behaviour.error}")
    if behaviour.quota:
        return Trouble(429, "insufficient_quota", "You exceeded your current quota: simulated")
    if behaviour.policy:
        return Trouble(400, "content_policy_violation", "Rejected as a result of our safety system: simulated")
    if behaviour.window is not None and answer.prompt_tokens > behaviour.window:
        said = f"maximum context length is {behaviour.window} tokens, and your messages have {answer.prompt_tokens}"
        return Trouble(400, "context_length_exceeded", f"This model's {said}")
    if behaviour.batch is not None and answer.ask.inputs > behaviour.batch:
        return Trouble(400, "invalid_request", f"at most {behaviour.batch} inputs in a call (got {answer.ask.inputs})")
    if behaviour.think and answer.ask.has_forged_thoughts:
        return Trouble(400, "invalid_request", "Invalid `signature` in `thinking` block")
    return None


def _whole(body: bytes, content_type: str, behaviour: Behaviour, own: tuple[str, ...]) -> Iterator[Step]:
    if behaviour.gzip:
        body = zlib.compress(body, wbits=31)
    length = len(body) + (behaviour.long_length or 0)
    start = head(200, content_type, [*own, f"content-length: {length}", *_encoding(behaviour)])
    if behaviour.cut_after is not None or behaviour.cut_inside is not None:
        yield start + body[: len(body) // 2]
        yield Fate.CUT
    elif behaviour.stall_after is not None:
        yield start + body[: len(body) // 2]
        yield Fate.STALL
    else:
        if behaviour.chunk:
            yield start
            yield from pieces(body, behaviour.chunk)
        else:
            yield start + body
        yield from _afterwards(behaviour)


def _afterwards(behaviour: Behaviour) -> Iterator[Step]:
    if behaviour.surplus:
        yield b"x" * behaviour.surplus
    if behaviour.close or behaviour.long_length:
        yield Fate.CLOSE


def _events(stream: Stream, behaviour: Behaviour) -> Iterator[Step]:
    """Give the events of a stream, each as one step, unframed."""
    if behaviour.garbage:
        yield b"data: {not json\n\n"
        return
    if behaviour.huge_line:
        yield from _huge_line(behaviour.huge_line)
        return
    yield from stream.opening()
    gap_s = _gap(behaviour)
    stops = {behaviour.cut_after, behaviour.stall_after, behaviour.fail_after, behaviour.end_after} - {None}
    sent = 0
    for before, event in stream.contents():
        if sent in stops:
            break
        if sent == 0 or gap_s:
            yield Until(behaviour.first + sent * gap_s)
        if before:
            yield before
        if behaviour.comments:
            yield COMMENT
        if sent == behaviour.cut_inside:
            yield event[: len(event) // 2]
            yield Fate.CUT
            return
        yield event
        sent += 1
    if sent in stops:
        yield from _stop(stream, behaviour, sent)
        return
    yield from stream.ending()
    if not behaviour.no_done:
        yield stream.mark()


def _stop(stream: Stream, behaviour: Behaviour, sent: int) -> Iterator[Step]:
    if sent == behaviour.cut_after:
        yield Fate.CUT
    elif sent == behaviour.stall_after:
        yield Fate.STALL
    elif sent == behaviour.fail_after:
        yield stream.failure()


def _huge_line(size: int) -> Iterator[Step]:
    yield b'data: {"choices":[{"index":0,"delta":{"content":"'
    piece = b"x" * _PIECE
    for start in range(0, size, _PIECE):
        yield piece[: size - start]


def _gap(behaviour: Behaviour) -> float:
    return 1 / behaviour.rate if behaviour.rate else 0.0


def _encoding(behaviour: Behaviour) -> tuple[str, ...]:
    return ("content-encoding: gzip",) if behaviour.gzip else ()

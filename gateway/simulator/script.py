"""A response as a script: the exact bytes on the wire, the pauses between them, and how it ends.

Pure: the same handler, behaviour, request and number produce the same script. If a behaviour has several faults, the order
is `cut_head`, `stall_head`, `error`, `quota`, `policy`, `window`, `html`, then the faults within a response.
"""

import zlib
from collections.abc import Iterator
from math import ceil
from typing import Final

from gateway.providers.simulator_behaviour import Behaviour
from gateway.simulator.framing import ConnectionFault, Step, WaitUntil, encode_chunks, pieces
from gateway.simulator.handler import ApiHandler, ErrorResponse, StreamedBody
from gateway.simulator.headers import HTML, JSON, head
from gateway.simulator.model_output import ModelOutput

COMMENT: Final = b": keep-alive\n\n"
_PIECE: Final = 65536


def script(handler: ApiHandler, output: ModelOutput) -> Iterator[Step]:
    """Yield the steps of the response to one request."""
    behaviour = output.behaviour
    if behaviour.head:
        yield WaitUntil(behaviour.head)
    if behaviour.cut_head:
        yield ConnectionFault.RESET
        return
    if behaviour.stall_head:
        yield ConnectionFault.STALL
        return
    error = _error_of(output)
    if error is not None:
        yield error_bytes(handler, error, behaviour, output.created)
        return
    provider_headers = handler.provider_headers(behaviour, output.created, False)
    if behaviour.html:
        yield from _whole(b"<!doctype html><title>Welcome</title><p>simulated page", HTML, behaviour, provider_headers)
        return
    rendered = handler.render(output)
    if isinstance(rendered, bytes):
        yield WaitUntil(behaviour.first + max(output.token_count - 1, 0) * _gap(behaviour))
        yield from _whole(b'{"id": "chatcmpl-' if behaviour.garbage else rendered, JSON, behaviour, provider_headers)
    else:
        more = (*provider_headers, "transfer-encoding: chunked", "cache-control: no-cache", *_encoding(behaviour))
        yield head(200, rendered.content_type, more)
        yield from encode_chunks(_events(rendered, behaviour), behaviour)
        yield from _trailing_faults(behaviour)


def error_bytes(handler: ApiHandler, error: ErrorResponse, behaviour: Behaviour, created: int) -> bytes:
    """Return the bytes of an error response; a redirect if its status is one."""
    status, body = handler.error_response(error)
    more = [*handler.provider_headers(behaviour, created, True), f"content-length: {len(body)}"]
    if behaviour.retry_after is not None and error.code == "simulated":
        more.append(f"retry-after: {ceil(behaviour.retry_after)}")
    if status < 400:
        more.append("location: http://127.0.0.1:9/elsewhere")
    return head(status, JSON, more) + body


def _error_of(output: ModelOutput) -> ErrorResponse | None:
    behaviour = output.behaviour
    if behaviour.error is not None:
        return ErrorResponse(behaviour.error, "simulated", f"simulated error {behaviour.error}")
    if behaviour.quota:
        return ErrorResponse(429, "insufficient_quota", "You exceeded your current quota: simulated")
    if behaviour.policy:
        return ErrorResponse(400, "content_policy_violation", "Rejected as a result of our safety system: simulated")
    if behaviour.window is not None and output.prompt_tokens > behaviour.window:
        details = f"maximum context length is {behaviour.window} tokens, and your messages have {output.prompt_tokens}"
        return ErrorResponse(400, "context_length_exceeded", f"This model's {details}")
    if behaviour.batch is not None and output.request.inputs > behaviour.batch:
        return ErrorResponse(
            400, "invalid_request", f"at most {behaviour.batch} inputs in a call (got {output.request.inputs})"
        )
    if behaviour.think and output.request.has_forged_thinking:
        return ErrorResponse(400, "invalid_request", "Invalid `signature` in `thinking` block")
    return None


def _whole(body: bytes, content_type: str, behaviour: Behaviour, provider_headers: tuple[str, ...]) -> Iterator[Step]:
    if behaviour.gzip:
        body = zlib.compress(body, wbits=31)
    length = len(body) + (behaviour.long_length or 0)
    start = head(200, content_type, [*provider_headers, f"content-length: {length}", *_encoding(behaviour)])
    if behaviour.cut_after is not None or behaviour.cut_inside is not None:
        yield start + body[: len(body) // 2]
        yield ConnectionFault.RESET
    elif behaviour.stall_after is not None:
        yield start + body[: len(body) // 2]
        yield ConnectionFault.STALL
    else:
        if behaviour.chunk:
            yield start
            yield from pieces(body, behaviour.chunk)
        else:
            yield start + body
        yield from _trailing_faults(behaviour)


def _trailing_faults(behaviour: Behaviour) -> Iterator[Step]:
    if behaviour.surplus:
        yield b"x" * behaviour.surplus
    if behaviour.close or behaviour.long_length:
        yield ConnectionFault.CLOSE


def _events(stream: StreamedBody, behaviour: Behaviour) -> Iterator[Step]:
    """Yield the events of a stream, each as one step, not yet encoded as chunks."""
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
            yield WaitUntil(behaviour.first + sent * gap_s)
        if before:
            yield before
        if behaviour.comments:
            yield COMMENT
        if sent == behaviour.cut_inside:
            yield event[: len(event) // 2]
            yield ConnectionFault.RESET
            return
        yield event
        sent += 1
    if sent in stops:
        yield from _stop(stream, behaviour, sent)
        return
    yield from stream.ending()
    if not behaviour.no_done:
        yield stream.end_marker()


def _stop(stream: StreamedBody, behaviour: Behaviour, sent: int) -> Iterator[Step]:
    if sent == behaviour.cut_after:
        yield ConnectionFault.RESET
    elif sent == behaviour.stall_after:
        yield ConnectionFault.STALL
    elif sent == behaviour.fail_after:
        yield stream.error_event()


def _huge_line(size: int) -> Iterator[Step]:
    yield b'data: {"choices":[{"index":0,"delta":{"content":"'
    piece = b"x" * _PIECE
    for start in range(0, size, _PIECE):
        yield piece[: size - start]


def _gap(behaviour: Behaviour) -> float:
    return 1 / behaviour.rate if behaviour.rate else 0.0


def _encoding(behaviour: Behaviour) -> tuple[str, ...]:
    return ("content-encoding: gzip",) if behaviour.gzip else ()

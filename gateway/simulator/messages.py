"""Anthropic's messages, and their token count.

Shapes: https://docs.anthropic.com/en/api/messages and .../messages-streaming.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

import msgspec

from gateway.simulator.handler import ErrorResponse, StreamedBody
from gateway.simulator.headers import EVENT_STREAM, messages_headers
from gateway.simulator.model_output import ModelOutput, Part, encode, signature_of
from gateway.simulator.request import BadRequest, SimulatedRequest, decode_body, stops_of, texts_of, words_of

PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'

_STOPS: Final = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "calls": "tool_use",
    "refusal": "refusal",
}
_ERROR_TYPES: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
# Errors for which this vendor uses another status and other words, by code.
_ERROR_OVERRIDES: Final = {
    "insufficient_quota": (402, "Your credit balance is too low to access the API: simulated"),
    "content_policy_violation": (400, "Output blocked by content filtering policy: simulated"),
}
_DELTAS: Final = {
    "text": b'{"type":"text_delta","text":',
    "refusal": b'{"type":"text_delta","text":',
    "thinking": b'{"type":"thinking_delta","thinking":',
    "call": b'{"type":"input_json_delta","partial_json":',
}


class _Tool(msgspec.Struct):
    name: str = "lookup"


class _Message(msgspec.Struct):
    role: str
    content: Any


class _Format(msgspec.Struct):
    schema: dict[str, Any] = {}


class _OutputConfig(msgspec.Struct):
    format: _Format | None = None


class _Body(msgspec.Struct):
    model: str
    messages: list[_Message]
    max_tokens: int | None = None
    system: Any = None
    stream: bool | None = None
    tools: list[_Tool] | None = None
    stop_sequences: list[str] | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None


_BODY: Final = msgspec.json.Decoder(_Body)


class MessagesConventions:
    """Anthropic's error format and headers."""

    provider_headers = staticmethod(messages_headers)

    @staticmethod
    def error_response(error: ErrorResponse) -> tuple[int, bytes]:
        status, message = _ERROR_OVERRIDES.get(error.code, (error.status, error.message))
        if error.code == "context_length_exceeded":
            message = f"prompt is too long: {message}"
        return status, _error(status, message)


class Messages(MessagesConventions):
    """`POST /v1/messages`: requires `max_tokens`, as Anthropic does."""

    path: ClassVar[str] = "/v1/messages"

    @staticmethod
    def read_request(body: bytes, params: Mapping[str, Any]) -> SimulatedRequest:
        request = _read(decode_body(body, _BODY, "request for a message"))
        if request.max_tokens is None:
            raise BadRequest("max_tokens: Field required")
        return request

    @staticmethod
    def render(output: ModelOutput) -> bytes | StreamedBody:
        return _Events(output) if output.request.stream else _whole(output)


class CountTokens(MessagesConventions):
    """`POST /v1/messages/count_tokens`."""

    path: ClassVar[str] = "/v1/messages/count_tokens"

    @staticmethod
    def read_request(body: bytes, params: Mapping[str, Any]) -> SimulatedRequest:
        return _read(decode_body(body, _BODY, "request for a count"))

    @staticmethod
    def render(output: ModelOutput) -> bytes | StreamedBody:
        return encode({"input_tokens": output.prompt_tokens})


def _read(read: _Body) -> SimulatedRequest:
    output_format = (read.output_config and read.output_config.format) or read.output_format
    blocks = [block for message in read.messages if isinstance(message.content, list) for block in message.content]
    return SimulatedRequest(
        model=read.model,
        stream=bool(read.stream),
        wants_usage=True,
        max_tokens=read.max_tokens,
        words=max(1, words_of(read.system) + sum(words_of(message.content) for message in read.messages)),
        tool_names=tuple(tool.name for tool in read.tools or ()),
        tool_results=sum(_is(block, "tool_result") for block in blocks),
        new_input=_new_input(read.messages),
        stop=stops_of(read.stop_sequences),
        schema=output_format.schema if output_format else None,
        has_forged_thinking=any(
            block.get("signature") != signature_of(block.get("thinking", ""))
            for block in blocks
            if _is(block, "thinking")
        ),
    )


def _new_input(messages: Sequence[_Message]) -> tuple[str, ...]:
    new_input: list[str] = []
    for message in reversed(messages):
        if message.role == "assistant":
            break
        new_input += reversed(texts_of(message.content))
    return tuple(reversed(new_input))


def _is(block: Any, kind: str) -> bool:
    return isinstance(block, dict) and block.get("type") == kind


def _whole(output: ModelOutput) -> bytes:
    content = [_block(part, part.text) for part in output.parts if part.tokens]
    message = _message(output, content)
    message |= _stop(output)
    if not output.behaviour.no_usage:
        message["usage"] = _whole_usage(output, output.token_count)
    return encode(message)


class _Events:
    """The events of a stream. Everything except the delta is the same within a block, so it is encoded once."""

    content_type = EVENT_STREAM

    def __init__(self, output: ModelOutput) -> None:
        self._output = output
        self._closing = b""  # the bytes that end the open block

    def opening(self) -> Iterator[bytes]:
        message = _message(self._output, [])
        if not self._output.behaviour.no_usage:
            message["usage"] = _whole_usage(self._output, min(1, self._output.token_count))
        yield _event("message_start", {"message": message})
        yield PING

    def contents(self) -> Iterator[tuple[bytes, bytes]]:
        ping = PING if self._output.behaviour.pings else b""
        for index, part in enumerate(part for part in self._output.parts if part.tokens):
            before = self._closing + _event("content_block_start", {"index": index, "content_block": _block(part, "")})
            delta = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":' % index
            delta += _DELTAS[part.kind]
            if part.kind == "call":
                before += delta + b'""}}\n\n'
            self._closing = _closing(index, part)
            for token in part.tokens:
                yield before + ping, delta + encode(token) + b"}}\n\n"
                before = b""

    def ending(self) -> Iterator[bytes]:
        if self._closing:
            yield self._closing
        more = {} if self._output.behaviour.no_usage else {"usage": _usage(self._output, self._output.token_count)}
        yield _event("message_delta", {"delta": _stop(self._output), **more})

    def end_marker(self) -> bytes:
        return b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

    def error_event(self) -> bytes:
        return b"event: error\ndata: " + _error(529, "simulated failure in the stream") + b"\n\n"


def _closing(index: int, part: Part) -> bytes:
    stop = _event("content_block_stop", {"index": index})
    if part.kind != "thinking":
        return stop
    delta = {"type": "signature_delta", "signature": signature_of(part.text)}
    return _event("content_block_delta", {"index": index, "delta": delta}) + stop


def _event(kind: str, members: Mapping[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), encode({"type": kind, **members}))


def _message(output: ModelOutput, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"msg_sim_{output.number}",
        "type": "message",
        "role": "assistant",
        "model": output.request.model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
    }


def _stop(output: ModelOutput) -> dict[str, Any]:
    details = {"type": "refusal", "category": None, "explanation": None} if output.finish == "refusal" else None
    return {"stop_reason": _STOPS[output.finish], "stop_sequence": output.stop_sequence, "stop_details": details}


def _block(part: Part, text: str) -> dict[str, Any]:
    """Return a block with `text`; "" for the empty block at the start of a stream's block."""
    match part.kind:
        case "thinking":
            return {"type": "thinking", "thinking": text, "signature": signature_of(text) if text else ""}
        case "call":
            return {"type": "tool_use", "id": part.id, "name": part.name, "input": _input(text)}
        case _:
            return {"type": "text", "text": text}


def _input(arguments: str) -> Any:
    try:
        return msgspec.json.decode(arguments) if arguments else {}
    except msgspec.DecodeError:
        return {}  # truncated by `max_tokens`


def _usage(output: ModelOutput, output_tokens: int) -> dict[str, Any]:
    """Return usage; cache reads and writes are separate from the input tokens, not part of them."""
    cached, written = output.behaviour.cached_tokens or 0, output.behaviour.written_tokens or 0
    usage: dict[str, Any] = {
        "input_tokens": max(0, output.prompt_tokens - cached - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": output_tokens,
    }
    if output.thinking_tokens:
        usage["output_tokens_details"] = {"thinking_tokens": min(output_tokens, output.thinking_tokens)}
    return usage


def _whole_usage(output: ModelOutput, output_tokens: int) -> dict[str, Any]:
    """Return usage as a message has it, with more fields than at the end of a stream."""
    written = {"ephemeral_5m_input_tokens": output.behaviour.written_tokens or 0, "ephemeral_1h_input_tokens": 0}
    return {**_usage(output, output_tokens), "cache_creation": written, "service_tier": "standard"}


def _error(status: int, message: str) -> bytes:
    kind = _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return encode({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_of_the_provider"})

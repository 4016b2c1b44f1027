"""Whole answers of Anthropic's messages, and what their errors say, in neutral words and back."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import Raw

from gateway.core.chat import ChatRequest
from gateway.core.conversation import Completion, Refusal, StopReason, Text, Thinking, ToolCall
from gateway.core.errors import ProtocolError, Unavailable
from gateway.core.usage import Usage
from gateway.dialects.anthropic_messages import usage as anthropic_usage
from gateway.dialects.rejection import TOO_LONG, ProviderError

STOPS: Final[Mapping[str, StopReason]] = MappingProxyType(
    {
        "end_turn": "end",
        "max_tokens": "max_tokens",
        "stop_sequence": "stop_sequence",
        "tool_use": "tool_use",
        "pause_turn": "pause",
        "refusal": "refusal",
        "model_context_window_exceeded": "context_window",
    }
)

STOP_REASONS: Final[Mapping[StopReason, str]] = MappingProxyType(
    {**{ours: theirs for theirs, ours in STOPS.items()}, "content_filter": "refusal"}
)

_TYPES: Final[Mapping[int, str]] = MappingProxyType(
    {
        401: "authentication_error",
        402: "billing_error",
        403: "permission_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        503: "overloaded_error",
        504: "timeout_error",
        529: "overloaded_error",
    }
)
_TOO_LONG: Final = ("prompt is too long", "input length and `max_tokens` exceed context limit")
RAW_ARGUMENTS: Final = "_raw"
"""Holds the text of arguments that are no JSON object, since a block of this dialect takes nothing else."""


class Block(msgspec.Struct):
    """One block of content, of any type that has a neutral word."""

    type: str
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: Raw = Raw(b"{}")


class _Message(msgspec.Struct):
    type: str | None = None
    id: str = ""
    model: str = ""
    content: list[Block] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: anthropic_usage.Usage | None = None


class _Error(msgspec.Struct):
    message: str = ""
    type: str | None = None


class _ErrorBody(msgspec.Struct):
    error: _Error


_decode_message = msgspec.json.Decoder(_Message).decode
_decode_error = msgspec.json.Decoder(_ErrorBody).decode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_raw = msgspec.json.Decoder(dict[str, str]).decode


def decode_answer(body: bytes) -> Completion:
    """Give a whole answer. Raises `ProtocolError` where it is none, `Unavailable` where it is an error in disguise."""
    try:
        message = _decode_message(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProtocolError("the provider's answer is not a message") from None
    if message.type == "error":
        raise Unavailable("the provider answered 200 with an error in it")
    if message.content is None:
        raise ProtocolError("the provider's answer is not a message")
    return Completion(
        id=message.id,
        model=message.model,
        parts=tuple(_parts(message.content)),
        stop=STOPS.get(message.stop_reason or "", "end"),
        stop_sequence=message.stop_sequence,
        usage=anthropic_usage.read_usage(message.usage),
    )


def _parts(blocks: list[Block]) -> Iterator[Text | Thinking | Refusal | ToolCall]:
    for block in blocks:
        match block.type:
            case "text":
                yield Text(block.text)
            case "thinking":
                yield Thinking(block.thinking, block.signature)
            case "redacted_thinking":
                yield Thinking(data=block.data)
            case "tool_use":
                yield ToolCall(block.id, block.name, arguments_of(block.input))
            case _:
                raise ProtocolError(f"the provider's answer holds a block of type {block.type[:40]!r}")


def arguments_of(value: Raw) -> str:
    """Give the arguments of a call as their text: what could not be read as an object comes out as it went in."""
    if RAW_ARGUMENTS.encode() in bytes(value):
        try:
            members = _decode_raw(value)
        except msgspec.ValidationError:
            members = {}
        if members.keys() == {RAW_ARGUMENTS}:
            return members[RAW_ARGUMENTS]
    return bytes(value).decode()


def input_of(arguments: str) -> Raw:
    """Give the arguments of a call as an object."""
    if not arguments.strip():
        return Raw(b"{}")
    try:
        _decode_members(arguments.encode())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return Raw(msgspec.json.encode({RAW_ARGUMENTS: arguments.encode("utf-8", "replace").decode()}))
    return Raw(arguments.encode())


def encode_answer(completion: Completion, request: ChatRequest) -> bytes:
    """Give a whole answer as a message."""
    message = {
        "id": completion.id,
        "type": "message",
        "role": "assistant",
        "model": completion.model,
        "content": [write_block(part) for part in completion.parts],
        "stop_reason": STOP_REASONS[completion.stop],
        "stop_sequence": completion.stop_sequence,
        "usage": anthropic_usage.write_usage(completion.usage or Usage(input=request.tokens)),
    }
    return msgspec.json.encode(message)


def write_block(part: Text | Thinking | Refusal | ToolCall) -> dict[str, Any]:
    """Give a part of an answer as a block."""
    match part:
        case Text() | Refusal():
            return {"type": "text", "text": part.text}
        case ToolCall():
            return {"type": "tool_use", "id": part.id, "name": part.name, "input": input_of(part.arguments)}
        case Thinking(data=""):
            return {"type": "thinking", "thinking": part.text, "signature": part.signature}
    return {"type": "redacted_thinking", "data": part.data}


# Errors


def error_type(status: int) -> str:
    """Give Anthropic's word for an error with a status."""
    return _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")


def read_provider_error(body: bytes) -> ProviderError | None:
    """Give the error in a body; None where it holds none."""
    try:
        error = _decode_error(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return ProviderError(error.message, error.type, TOO_LONG if error.message.startswith(_TOO_LONG) else None)


def encode_provider_error(rejection: ProviderError, status: int) -> bytes:
    """Give a provider's error of another dialect in Anthropic's shape."""
    message = rejection.message
    if rejection.code == TOO_LONG and not message.startswith(_TOO_LONG):
        message = f"{_TOO_LONG[0]}: {message}"
    return msgspec.json.encode({"type": "error", "error": {"type": error_type(status), "message": message}})

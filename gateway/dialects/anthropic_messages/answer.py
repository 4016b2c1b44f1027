"""Unstreamed answers of Anthropic's messages as neutral values, and back."""

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
from gateway.dialects.stop_reasons import stop_of

STOP_REASONS: Final[Mapping[StopReason, str]] = MappingProxyType(
    {
        "end": "end_turn",
        "max_tokens": "max_tokens",
        "stop_sequence": "stop_sequence",
        "tool_use": "tool_use",
        "pause": "pause_turn",
        "refusal": "refusal",
        "context_window": "model_context_window_exceeded",
        "content_filter": "refusal",
    }
)

RAW_ARGUMENTS: Final = "_raw"
"""The member for the text of arguments that are no JSON object: a `tool_use` block accepts only an object."""


class Block(msgspec.Struct):
    """One block of content, of any type that has a neutral value."""

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


class _Document(msgspec.Struct):
    type: str | None = None
    content: list[Raw] | None = None
    usage: anthropic_usage.Usage | None = None


_decode_message = msgspec.json.Decoder(_Message).decode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_raw = msgspec.json.Decoder(dict[str, str]).decode
_decode_document = msgspec.json.Decoder(_Document).decode


def read_answer(body: bytes) -> Usage | None:
    """Return the usage in an answer with status 200.

    Raises `ProtocolError` if it is no message, `Unavailable` if it is an error.
    """
    try:
        document = _decode_document(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProtocolError("the provider's answer is not a message") from None
    if document.type == "error":
        raise Unavailable("the provider answered 200 with an error in it")
    if document.content is None:
        raise ProtocolError("the provider's answer is not a message")
    return anthropic_usage.read_usage(document.usage)


def decode_answer(body: bytes) -> Completion:
    """Return a whole answer. Raises `ProtocolError` for any other document, `Unavailable` for an error sent with status 200."""
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
        stop=stop_of(message.stop_reason),
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
    """Return the arguments of a call as text; `input_of` in reverse."""
    if RAW_ARGUMENTS.encode() in bytes(value):
        try:
            members = _decode_raw(value)
        except msgspec.ValidationError:
            members = {}
        if members.keys() == {RAW_ARGUMENTS}:
            return members[RAW_ARGUMENTS]
    return bytes(value).decode()


def input_of(arguments: str) -> Raw:
    """Return the arguments of a call as a JSON object."""
    if not arguments.strip():
        return Raw(b"{}")
    try:
        _decode_members(arguments.encode())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return Raw(msgspec.json.encode({RAW_ARGUMENTS: arguments.encode("utf-8", "replace").decode()}))
    return Raw(arguments.encode())


def encode_answer(completion: Completion, request: ChatRequest) -> bytes:
    """Return a whole answer as a message."""
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
    """Return a part of an answer as a block."""
    match part:
        case Text() | Refusal():
            return {"type": "text", "text": part.text}
        case ToolCall():
            return {"type": "tool_use", "id": part.id, "name": part.name, "input": input_of(part.arguments)}
        case Thinking(data=""):
            return {"type": "thinking", "thinking": part.text, "signature": part.signature}
    return {"type": "redacted_thinking", "data": part.data}

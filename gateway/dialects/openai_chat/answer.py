"""Unstreamed answers of OpenAI's chat completions as neutral values, and back."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import Raw

from gateway.core import usage as core_usage
from gateway.core.chat import ChatRequest
from gateway.core.conversation import Completion, Refusal, StopReason, Text, Thinking, ToolCall
from gateway.core.errors import ProtocolError, Unavailable
from gateway.dialects.openai_chat.usage import Usage, read_usage, write_usage
from gateway.dialects.stop_reasons import stop_of

FINISH_REASONS: Final[Mapping[StopReason, str]] = MappingProxyType(
    {
        "end": "stop",
        "max_tokens": "length",
        "context_window": "length",
        "stop_sequence": "stop",
        "tool_use": "tool_calls",
        "refusal": "content_filter",
        "content_filter": "content_filter",
        "pause": "stop",
    }
)


class _Function(msgspec.Struct):
    name: str
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    function: _Function
    id: str | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    created: float | None = None
    choices: list[_Choice] | None = None
    usage: Usage | None = None
    service_tier: str | None = None
    error: Raw = Raw(b"null")


class _Document(msgspec.Struct):
    choices: list[Raw] | None = None
    usage: Usage | None = None
    error: Raw = Raw(b"null")


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_document = msgspec.json.Decoder(_Document).decode


def read_answer(body: bytes) -> core_usage.Usage | None:
    """Return the usage in an answer with status 200.

    Raises `ProtocolError` if it is no chat completion, `Unavailable` if it is an error.
    """
    try:
        document = _decode_document(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProtocolError("the provider's answer is not a chat completion") from None
    if document.choices is None:
        if bytes(document.error) != b"null":
            raise Unavailable("the provider answered 200 with an error in it")
        raise ProtocolError("the provider's answer is not a chat completion")
    return read_usage(document.usage)


def decode_answer(body: bytes) -> Completion:
    """Return a whole answer. Raises `ProtocolError` for any other document, `Unavailable` for an error sent with status 200."""
    try:
        answer = _decode_answer(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProtocolError("the provider's answer is not a chat completion") from None
    if bytes(answer.error) != b"null":
        raise Unavailable("the provider answered 200 with an error in it")
    if not answer.choices:
        raise ProtocolError("the provider's answer is not a chat completion")
    choice = answer.choices[0]
    parts = tuple(_parts(choice.message))
    return Completion(
        id=answer.id or "",
        model=answer.model or "",
        parts=parts,
        stop=stop_reason(
            choice.finish_reason,
            has_calls=any(isinstance(part, ToolCall) for part in parts),
            has_refused=any(isinstance(part, Refusal) for part in parts),
        ),
        usage=read_usage(answer.usage),
        created=int(answer.created or 0),
        service_tier=answer.service_tier,
    )


def _parts(message: _Message) -> Iterator[Text | Thinking | Refusal | ToolCall]:
    if thinking := message.reasoning_content or message.reasoning:
        yield Thinking(thinking)
    if message.content:
        yield Text(message.content)
    if message.refusal:
        yield Refusal(message.refusal)
    for index, call in enumerate(message.tool_calls or ()):
        yield ToolCall(call.id or f"call_{index}", call.function.name, call.function.arguments or "")


def stop_reason(finish: str | None, *, has_calls: bool, has_refused: bool) -> StopReason:
    """Return why an answer ended. Some servers send `stop` for a tool call, and all do for a refusal.

    Raises `Unavailable` for a reason that is no end.
    """
    stop = stop_of(finish)
    if stop != "end":
        return stop
    return "tool_use" if has_calls else "refusal" if has_refused else "end"


def encode_answer(completion: Completion, request: ChatRequest) -> bytes:
    """Return a whole answer as a chat completion."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": _join(completion, Text),
        "refusal": (refusal := _join(completion, Refusal)),
    }
    if (thinking := _join(completion, Thinking)) is not None:
        message["reasoning_content"] = thinking
    blocks = [write_block(p) for p in completion.parts if isinstance(p, Thinking) and (p.signature or p.data)]
    if blocks:
        message["thinking_blocks"] = blocks
    calls = [part for part in completion.parts if isinstance(part, ToolCall)]
    if calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}
            for call in calls
        ]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": finish_reason(completion.stop, has_refused=refusal is not None),
    }
    document = {
        "id": completion.id,
        "object": "chat.completion",
        "created": completion.created,
        "model": completion.model,
        "choices": [choice],
        "usage": None if completion.usage is None else write_usage(completion.usage),
        "service_tier": completion.service_tier,
    }
    return msgspec.json.encode({name: value for name, value in document.items() if value is not None})


def finish_reason(stop: StopReason, *, has_refused: bool) -> str:
    """Return OpenAI's finish reason: a refusal with text ended like any other answer."""
    return "stop" if stop == "refusal" and has_refused else FINISH_REASONS[stop]


def write_block(thinking: Thinking) -> dict[str, str]:
    """Return a block of thinking that its provider needs back unchanged; clients send it back with the message."""
    if thinking.data:
        return {"type": "redacted_thinking", "data": thinking.data}
    return {"type": "thinking", "thinking": thinking.text, "signature": thinking.signature}


def _join(completion: Completion, kind: type[Text | Thinking | Refusal]) -> str | None:
    texts = [part.text for part in completion.parts if isinstance(part, kind) and part.text]
    return "".join(texts) if texts else None

"""Whole answers of OpenAI's completions in neutral words and back: a text, and why it ends."""

import msgspec
from msgspec import Raw

from gateway.core.chat import ChatRequest
from gateway.core.conversation import Completion, Refusal, StopReason, Text
from gateway.core.errors import ProtocolError, Unavailable
from gateway.dialects.openai_chat.answer import FINISH_REASONS, STOPS
from gateway.dialects.openai_chat.usage import Usage, read_usage, write_usage


class _Choice(msgspec.Struct):
    text: str = ""
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    created: float | None = None
    choices: list[_Choice] | None = None
    usage: Usage | None = None
    error: Raw = Raw(b"null")


_decode_answer = msgspec.json.Decoder(_Answer).decode


def decode_answer(body: bytes) -> Completion:
    """Give a whole answer. Raises `ProtocolError` where it is none, `Unavailable` where it is an error in disguise."""
    try:
        answer = _decode_answer(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProtocolError("the provider's answer is not a completion") from None
    if bytes(answer.error) != b"null":
        raise Unavailable("the provider answered 200 with an error in it")
    if not answer.choices:
        raise ProtocolError("the provider's answer is not a completion")
    choice = answer.choices[0]
    return Completion(
        id=answer.id or "",
        model=answer.model or "",
        parts=(Text(choice.text),) if choice.text else (),
        stop=STOPS.get(choice.finish_reason or "stop", "end"),
        usage=read_usage(answer.usage),
        created=int(answer.created or 0),
    )


def encode_answer(completion: Completion, request: ChatRequest) -> bytes:
    """Give a whole answer as a completion. Thoughts have no place in it; the words of a refusal are its text."""
    text = "".join(part.text for part in completion.parts if isinstance(part, Text | Refusal))
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish_reason(completion.stop, text)}
    document = {
        "id": completion.id,
        "object": "text_completion",
        "created": completion.created,
        "model": completion.model or request.model,
        "choices": [choice],
    }
    if completion.usage is not None:
        document["usage"] = write_usage(completion.usage)
    return msgspec.json.encode(document)


def finish_reason(stop: StopReason, text: str) -> str:
    """Give the API's word for why an answer ended: one that declines in words has ended as others do."""
    if stop == "tool_use" or (stop == "refusal" and text):
        return "stop"
    return FINISH_REASONS[stop]

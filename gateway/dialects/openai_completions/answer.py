"""Unstreamed answers of OpenAI's completions as neutral values, and back: a text, and why it ends."""

import msgspec
from msgspec import Raw

from gateway.core.chat import ChatRequest
from gateway.core.conversation import Completion, Refusal, StopReason, Text
from gateway.core.errors import ProtocolError, Unavailable
from gateway.dialects.openai_chat.answer import FINISH_REASONS
from gateway.dialects.openai_chat.usage import Usage, read_usage, write_usage
from gateway.dialects.stop_reasons import stop_of


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
    """Return a whole answer. Raises `ProtocolError` for any other document, `Unavailable` for an error sent with status 200."""
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
        stop=stop_of(choice.finish_reason),
        usage=read_usage(answer.usage),
        created=int(answer.created or 0),
    )


def encode_answer(completion: Completion, request: ChatRequest) -> bytes:
    """Return a whole answer as a completion. Thinking is dropped; the text of a refusal is its text."""
    text = "".join(part.text for part in completion.parts if isinstance(part, Text | Refusal))
    choice = {
        "text": text,
        "index": 0,
        "logprobs": None,
        "finish_reason": finish_reason(completion.stop, has_text=bool(text)),
    }
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


def finish_reason(stop: StopReason, *, has_text: bool) -> str:
    """Return the API's finish reason: a refusal with text ended like any other answer."""
    if stop == "tool_use" or (stop == "refusal" and has_text):
        return "stop"
    return FINISH_REASONS[stop]

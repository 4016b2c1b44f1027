"""Whole answers of OpenAI's responses in neutral words and back."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import Raw

from gateway.core.chat import ChatRequest
from gateway.core.conversation import Completion, Refusal, StopReason, Text, Thinking, ToolCall
from gateway.core.errors import ProtocolError, Unavailable
from gateway.core.usage import Usage as Tokens
from gateway.dialects.openai_responses.reasoning import BETWEEN, take_item, write_reasoning
from gateway.dialects.openai_responses.usage import Usage, read_usage, write_usage

_INCOMPLETE: Final[Mapping[StopReason, str]] = MappingProxyType(
    {
        "max_tokens": "max_output_tokens",
        "context_window": "max_output_tokens",
        "content_filter": "content_filter",
    }
)
"""Why an answer is not all that it would have been; for all other reasons to stop it is complete."""

_ECHOED: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "temperature": None,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": None,
        "truncation": "disabled",
        "user": None,
    }
)
"""What an answer repeats of its request, and what it says where the request is silent."""

_NULL: Final = b"null"


class Part(msgspec.Struct):
    """What stands in a message, a summary, or the text of thoughts."""

    type: str = ""
    text: str = ""
    refusal: str = ""


class Item(msgspec.Struct):
    """One of an answer's items; what its type does not have stays empty."""

    type: str
    id: str = ""
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    content: list[Part] | None = None
    summary: list[Part] | None = None
    encrypted_content: str | None = None


class Error(msgspec.Struct):
    """Why an answer has failed."""

    message: str | None = None
    type: str | None = None
    code: str | int | None = None


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class Response(msgspec.Struct):
    """An answer, whole or as it stands while it is streamed."""

    id: str = ""
    model: str = ""
    created_at: float | None = None
    status: str | None = None
    error: Error | str | None = None
    incomplete_details: _Incomplete | None = None
    output: list[Item] | None = None
    usage: Usage | None = None
    service_tier: str | None = None


_decode_response = msgspec.json.Decoder(Response).decode


def decode_answer(body: bytes) -> Completion:
    """Give a whole answer. Raises `ProtocolError` where it is none, `Unavailable` where it is an error in disguise."""
    try:
        response = _decode_response(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProtocolError("the provider's answer is not a response") from None
    if response.error is not None or response.status in ("failed", "cancelled"):
        raise Unavailable("the provider answered 200 with an error in it")
    if response.output is None or response.status in ("queued", "in_progress"):
        raise ProtocolError("the provider's answer is not a response")
    parts = tuple(part for item in response.output for part in parts_of(item))
    return Completion(
        id=response.id,
        model=response.model,
        parts=parts,
        stop=stop_reason(
            response,
            has_calls=any(isinstance(part, ToolCall) for part in parts),
            has_refused=any(isinstance(part, Refusal) for part in parts),
        ),
        usage=read_usage(response.usage),
        created=int(response.created_at or 0),
        service_tier=response.service_tier,
    )


def parts_of(item: Item) -> Iterator[Text | Thinking | Refusal | ToolCall]:
    """Give the parts that an item stands for. Raises `ProtocolError` for what nobody had asked for."""
    match item.type:
        case "message":
            for part in item.content or ():
                yield Refusal(part.refusal) if part.type == "refusal" else Text(part.text)
        case "function_call":
            yield ToolCall(item.call_id or item.id, item.name, item.arguments)
        case "reasoning":
            thinking = take_item(item.id, thoughts_of(item), item.encrypted_content)
            if thinking is not None:
                yield thinking
        case _:
            raise ProtocolError(f"the provider's answer holds an item of type {item.type[:40]!r}")


def thoughts_of(item: Item) -> str:
    """Give the summary of thoughts, or the thoughts themselves, as servers of open models show them."""
    return BETWEEN.join(part.text for part in item.summary or item.content or ())


def stop_reason(response: Response, *, has_calls: bool, has_refused: bool) -> StopReason:
    """Say why an answer ended."""
    if response.status == "incomplete":
        reason = response.incomplete_details.reason if response.incomplete_details is not None else None
        return "content_filter" if reason == "content_filter" else "max_tokens"
    return "tool_use" if has_calls else "refusal" if has_refused else "end"


# For clients


def encode_answer(completion: Completion, request: ChatRequest) -> bytes:
    """Give a whole answer as a response."""
    reason = incomplete_reason(completion.stop, has_refused=any(isinstance(part, Refusal) for part in completion.parts))
    items = list(_items(completion))
    if reason is not None and items and "status" in items[-1]:
        items[-1]["status"] = "incomplete"
    frame = Frame(completion.id, completion.model, completion.created, completion.service_tier, request)
    return frame.ended(reason, items, completion.usage)


def incomplete_reason(stop: StopReason, *, has_refused: bool) -> str | None:
    """Say why an answer is not whole; None where it is. A model that declines without a word has been cut."""
    return _INCOMPLETE.get("content_filter" if stop == "refusal" and not has_refused else stop)


def _items(completion: Completion) -> Iterator[dict[str, Any]]:
    """Give items in their order; texts and refusals in a row are one message."""
    content: list[dict[str, Any]] = []
    count = 0
    for part in completion.parts:
        if isinstance(part, Text | Refusal):
            content.append(write_text(part.text) if isinstance(part, Text) else write_refusal(part.text))
            continue
        if content:
            yield write_message(item_id("msg", completion.id, count), content)
            content = []
            count += 1
        if isinstance(part, ToolCall):
            yield write_call(item_id("fc", completion.id, count), part.id, part.name, part.arguments or "{}")
        else:
            yield write_reasoning(part, item_id("rs", completion.id, count))
        count += 1
    if content:
        yield write_message(item_id("msg", completion.id, count), content)


def item_id(prefix: str, answer_id: str, index: int) -> str:
    """Give an id for an item of an answer; OpenAI takes 64 bytes of one, with its type's prefix."""
    return f"{prefix}_{answer_id[-50:]}_{index}"


def write_text(text: Any) -> dict[str, Any]:
    """Give the part of a message that is text."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def write_refusal(text: Any) -> dict[str, Any]:
    """Give the part of a message that is a refusal."""
    return {"type": "refusal", "refusal": text}


def write_message(identity: str, content: list[Any], status: str = "completed") -> dict[str, Any]:
    """Give an item that is a message."""
    return {"id": identity, "type": "message", "status": status, "role": "assistant", "content": content}


def write_call(identity: str, call_id: str, name: str, arguments: Any, status: str = "completed") -> dict[str, Any]:
    """Give an item that is a call of a tool."""
    call = {"id": identity, "type": "function_call", "status": status}
    return call | {"call_id": call_id, "name": name, "arguments": arguments}


class Frame:
    """What is the same in an answer from its beginning to its end: who answers, when, and what was asked."""

    __slots__ = ("_asked", "_head")

    def __init__(self, answer_id: str, model: str, created: int, tier: str | None, request: ChatRequest) -> None:
        self._head = {
            "id": answer_id,
            "object": "response",
            "created_at": created,
            "model": model or request.model,
        }
        self._asked = {name: _asked(request.fields.get(name), silent) for name, silent in _ECHOED.items()}
        self._asked |= {"service_tier": tier, "previous_response_id": None, "background": False, "store": False}

    def begun(self) -> bytes:
        """Give the answer before there is anything of it."""
        return self._write("in_progress", [], None)

    def ended(self, reason: str | None, items: Sequence[Any], usage: Tokens | None) -> bytes:
        """Give the whole answer, or what there is of it and the `reason` why."""
        return self._write("completed" if reason is None else "incomplete", items, usage, reason)

    def failed(self, message: str, code: str) -> bytes:
        """Give an answer that came to nothing."""
        return self._write("failed", [], None, error={"code": code, "message": message})

    def _write(
        self,
        status: str,
        items: Sequence[Any],
        usage: Tokens | None,
        reason: str | None = None,
        error: Mapping[str, str] | None = None,
    ) -> bytes:
        shape = {
            **self._head,
            "status": status,
            "error": error,
            "incomplete_details": None if reason is None else {"reason": reason},
            "output": items,
            "usage": None if usage is None else write_usage(usage),
            **self._asked,
        }
        return msgspec.json.encode(shape)


def _asked(value: Raw | None, silent: Any) -> Any:
    return silent if value is None or bytes(value) == _NULL else value

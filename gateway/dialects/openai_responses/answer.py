"""Unstreamed answers of OpenAI's responses as neutral values, and back."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import Raw

from gateway.core.chat import ChatRequest
from gateway.core.conversation import Completion, Refusal, StopReason, Text, Thinking, ToolCall
from gateway.core.errors import ProtocolError, Unavailable
from gateway.core.usage import Usage as Tokens
from gateway.dialects.openai_responses.reasoning import PARAGRAPH_BREAK, thinking_of_item, write_reasoning
from gateway.dialects.openai_responses.usage import Usage, read_usage, write_usage
from gateway.dialects.stop_reasons import stop_of

_INCOMPLETE: Final[Mapping[StopReason, str]] = MappingProxyType(
    {
        "max_tokens": "max_output_tokens",
        "context_window": "max_output_tokens",
        "content_filter": "content_filter",
    }
)
"""Why an answer is incomplete; with any other stop reason it is complete."""

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
"""The members of its request that an answer repeats, and their values if the request lacks them."""

_NULL: Final = b"null"


class Part(msgspec.Struct):
    """A part of a message, a summary, or a text of reasoning."""

    type: str = ""
    text: str = ""
    refusal: str = ""


class Item(msgspec.Struct):
    """One of an answer's items; members that its type lacks are empty."""

    type: str
    id: str = ""
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    content: list[Part] | None = None
    summary: list[Part] | None = None
    encrypted_content: str | None = None


class Error(msgspec.Struct):
    """Why an answer failed."""

    message: str | None = None
    type: str | None = None
    code: str | int | None = None


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class Response(msgspec.Struct):
    """An answer, whole or partly streamed."""

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


class Document(msgspec.Struct):
    """An answer whose items are left unread."""

    object: str | None = None
    output: list[Raw] | None = None
    status: str | None = None
    error: Raw = Raw(b"null")
    incomplete_details: _Incomplete | None = None
    usage: Usage | None = None


_decode_document = msgspec.json.Decoder(Document).decode


def read_answer(body: bytes) -> Tokens | None:
    """Return the usage in an answer with status 200.

    Raises `ProtocolError` if it is no response, `Unavailable` if it is an error.
    """
    try:
        document = _decode_document(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProtocolError("the provider's answer is not a response") from None
    if bytes(document.error) != b"null" or document.status == "failed":
        raise Unavailable("the provider answered 200 with an error in it")
    if document.output is None:
        raise ProtocolError("the provider's answer is not a response")
    return read_usage(document.usage)


def decode_answer(body: bytes) -> Completion:
    """Return a whole answer. Raises `ProtocolError` for any other document, `Unavailable` for an error sent with status 200."""
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
    """Yield the parts of an item. Raises `ProtocolError` for an item of a type that translated requests never cause."""
    match item.type:
        case "message":
            for part in item.content or ():
                yield Refusal(part.refusal) if part.type == "refusal" else Text(part.text)
        case "function_call":
            yield ToolCall(item.call_id or item.id, item.name, item.arguments)
        case "reasoning":
            thinking = thinking_of_item(item.id, reasoning_text_of(item), item.encrypted_content)
            if thinking is not None:
                yield thinking
        case _:
            raise ProtocolError(f"the provider's answer holds an item of type {item.type[:40]!r}")


def reasoning_text_of(item: Item) -> str:
    """Return the summary of reasoning, or the reasoning itself, as servers of open models send it."""
    return PARAGRAPH_BREAK.join(part.text for part in item.summary or item.content or ())


def stop_reason(response: Response, *, has_calls: bool, has_refused: bool) -> StopReason:
    """Return why an answer ended. Raises `Unavailable` for a reason that is no end."""
    if response.status == "incomplete":
        reason = response.incomplete_details.reason if response.incomplete_details is not None else None
        return stop_of(reason or "max_output_tokens")
    return "tool_use" if has_calls else "refusal" if has_refused else "end"


# For clients


def encode_answer(completion: Completion, request: ChatRequest) -> bytes:
    """Return a whole answer as a response."""
    reason = incomplete_reason(completion.stop, has_refused=any(isinstance(part, Refusal) for part in completion.parts))
    items = list(_items(completion))
    if reason is not None and items and "status" in items[-1]:
        items[-1]["status"] = "incomplete"
    shape = ResponseShape(completion.id, completion.model, completion.created, completion.service_tier, request)
    return shape.finished(reason, items, completion.usage)


def incomplete_reason(stop: StopReason, *, has_refused: bool) -> str | None:
    """Return why an answer is incomplete; None if it is complete. A refusal without text counts as cut off."""
    return _INCOMPLETE.get("content_filter" if stop == "refusal" and not has_refused else stop)


def _items(completion: Completion) -> Iterator[dict[str, Any]]:
    """Yield items in their order; consecutive texts and refusals are one message."""
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
    """Return an id for an item of an answer; OpenAI accepts up to 64 bytes, with the prefix of its type."""
    return f"{prefix}_{answer_id[-50:]}_{index}"


def write_text(text: Any) -> dict[str, Any]:
    """Return a text part of a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def write_refusal(text: Any) -> dict[str, Any]:
    """Return a refusal part of a message."""
    return {"type": "refusal", "refusal": text}


def write_message(identity: str, content: list[Any], status: str = "completed") -> dict[str, Any]:
    """Return a message item."""
    return {"id": identity, "type": "message", "status": status, "role": "assistant", "content": content}


def write_call(identity: str, call_id: str, name: str, arguments: Any, status: str = "completed") -> dict[str, Any]:
    """Return a tool call item."""
    call = {"id": identity, "type": "function_call", "status": status}
    return call | {"call_id": call_id, "name": name, "arguments": arguments}


class ResponseShape:
    """Writes a response object in each of its states; id, model, date and the members of the request stay the same."""

    __slots__ = ("_echoed", "_head")

    def __init__(self, answer_id: str, model: str, created: int, tier: str | None, request: ChatRequest) -> None:
        self._head = {
            "id": answer_id,
            "object": "response",
            "created_at": created,
            "model": model or request.model,
        }
        self._echoed = {name: _echoed(request.fields.get(name), default) for name, default in _ECHOED.items()}
        self._echoed |= {"service_tier": tier, "previous_response_id": None, "background": False, "store": False}

    def in_progress(self) -> bytes:
        """Return the answer before its first item."""
        return self._write("in_progress", [], None)

    def finished(self, reason: str | None, items: Sequence[Any], usage: Tokens | None) -> bytes:
        """Return the whole answer; with a `reason`, an incomplete one."""
        return self._write("completed" if reason is None else "incomplete", items, usage, reason)

    def failed(self, message: str, code: str) -> bytes:
        """Return a failed answer."""
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
            **self._echoed,
        }
        return msgspec.json.encode(shape)


def _echoed(value: Raw | None, default: Any) -> Any:
    return default if value is None or bytes(value) == _NULL else value

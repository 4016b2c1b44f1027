"""OpenAI's responses: a response is a list of items, and its stream reports how each item is built.

Shapes: https://platform.openai.com/docs/api-reference/responses and .../responses-streaming. Nothing is stored.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

import msgspec

from gateway.simulator.chat import ChatConventions
from gateway.simulator.handler import StreamedBody
from gateway.simulator.headers import EVENT_STREAM
from gateway.simulator.model_output import ModelOutput, Part, encode, signature_of
from gateway.simulator.request import SimulatedRequest, decode_body, texts_of, words_of

# Fields that a response repeats from its request, with the defaults for fields that the request leaves out.
_REPEATED: Final[Mapping[str, Any]] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
_DELTAS: Final = {
    "text": "response.output_text.delta",
    "refusal": "response.refusal.delta",
    "thinking": "response.reasoning_summary_text.delta",
    "call": "response.function_call_arguments.delta",
}
_ID_PREFIXES: Final = {"text": "msg", "refusal": "msg", "thinking": "rs", "call": "fc"}
_ENCRYPTED: Final = "reasoning.encrypted_content"


class _Tool(msgspec.Struct):
    type: str = "function"
    name: str = "lookup"


class _Format(msgspec.Struct):
    type: str = "text"
    schema: dict[str, Any] = {}


class _Text(msgspec.Struct):
    format: _Format | None = None


class _Body(msgspec.Struct):
    model: str
    input: str | list[Any] = ""
    instructions: Any = None
    stream: bool | None = None
    max_output_tokens: int | None = None
    tools: list[_Tool] | None = None
    text: _Text | None = None
    include: list[str] | None = None


_BODY: Final = msgspec.json.Decoder(_Body)
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])


class Responses(ChatConventions):
    """`POST /v1/responses`."""

    path: ClassVar[str] = "/v1/responses"

    @staticmethod
    def read_request(body: bytes, params: Mapping[str, Any]) -> SimulatedRequest:
        read = decode_body(body, _BODY, "request for a response")
        fields = decode_body(body, _OBJECT, "request for a response")
        items = [{"role": "user", "content": read.input}] if isinstance(read.input, str) else read.input
        items = [item for item in items if isinstance(item, dict)]
        text_format = read.text.format if read.text else None
        repeated = {name: fields[name] for name in _REPEATED if fields.get(name) is not None}
        return SimulatedRequest(
            model=read.model,
            stream=bool(read.stream),
            wants_usage=True,
            max_tokens=read.max_output_tokens,
            words=max(1, words_of(read.instructions) + sum(map(_words, items))),
            tool_names=tuple(tool.name for tool in read.tools or () if tool.type == "function"),
            tool_results=sum(item.get("type") == "function_call_output" for item in items),
            new_input=_new_input(items),
            schema=None if text_format is None or text_format.type == "text" else text_format.schema,
            extra={"repeated": {**_REPEATED, **repeated}, "is_encrypted": _ENCRYPTED in (read.include or ())},
        )

    @staticmethod
    def render(output: ModelOutput) -> bytes | StreamedBody:
        if output.request.stream:
            return _Events(output)
        if output.behaviour.fail_after is not None:
            return encode(_response(output, "failed", []))
        return encode(_response(output, _status(output), _items(output)))


def _words(item: Mapping[str, Any]) -> int:
    return words_of(item.get("content")) + words_of(item.get("output"))


def _new_input(items: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    new_input: list[str] = []
    for item in reversed(items):
        if item.get("role") == "assistant" or item.get("type") in ("function_call", "reasoning"):
            break
        if item.get("type") == "function_call_output":
            new_input.append("".join(texts_of(item.get("output"))))
        elif item.get("role") == "user":
            new_input += reversed(texts_of(item.get("content")))
    return tuple(reversed(new_input))


class _Events:
    """The numbered events of a stream. Everything except delta and number is the same within a part, so it is encoded once."""

    content_type = EVENT_STREAM

    def __init__(self, output: ModelOutput) -> None:
        self._output = output
        self._number = 0
        self._open: tuple[int, Part] | None = None  # the item in progress

    def opening(self) -> Iterator[bytes]:
        response = _response(self._output, "in_progress", [])
        yield self._event("response.created", {"response": response})
        yield self._event("response.in_progress", {"response": response})

    def contents(self) -> Iterator[tuple[bytes, bytes]]:
        for index, part in enumerate(part for part in self._output.parts if part.tokens):
            before = self._close() + self._begin(index, part)
            self._open = index, part
            kind = _DELTAS[part.kind]
            position = encode({"type": kind, **_position(self._output, index, part), **_logprobs(part)})
            start = b"event: %b\ndata: %b" % (kind.encode(), position[:-1] + b',"delta":')
            for token in part.tokens:
                event = start + encode(token) + b',"sequence_number":%d}\n\n' % self._number
                self._number += 1
                yield before, event
                before = b""

    def ending(self) -> Iterator[bytes]:
        if self._open is not None:
            yield self._close()

    def end_marker(self) -> bytes:
        status = _status(self._output)
        return self._event(f"response.{status}", {"response": _response(self._output, status, _items(self._output))})

    def error_event(self) -> bytes:
        return self._event("response.failed", {"response": _response(self._output, "failed", [])})

    def _begin(self, index: int, part: Part) -> bytes:
        item = _item(self._output, index, part, "in_progress")
        begun = self._event("response.output_item.added", {"output_index": index, "item": item})
        match part.kind:
            case "text" | "refusal":
                position = {**_position(self._output, index, part), "part": _content(part, "")}
                begun += self._event("response.content_part.added", position)
            case "thinking":
                position = {**_position(self._output, index, part), "part": {"type": "summary_text", "text": ""}}
                begun += self._event("response.reasoning_summary_part.added", position)
        return begun

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        index, part = self._open
        self._open = None
        text, position = part.text, _position(self._output, index, part)
        match part.kind:
            case "text":
                closed = self._event("response.output_text.done", {**position, "text": text, **_logprobs(part)})
            case "refusal":
                closed = self._event("response.refusal.done", {**position, "refusal": text})
            case "thinking":
                closed = self._event("response.reasoning_summary_text.done", {**position, "text": text})
                summary = {"type": "summary_text", "text": text}
                closed += self._event("response.reasoning_summary_part.done", {**position, "part": summary})
            case "call":
                members = {**position, "name": part.name, "arguments": text}
                closed = self._event("response.function_call_arguments.done", members)
        if part.kind in ("text", "refusal"):
            closed += self._event("response.content_part.done", {**position, "part": _content(part, text)})
        item = _item(self._output, index, part, _item_status(self._output, index))
        return closed + self._event("response.output_item.done", {"output_index": index, "item": item})

    def _event(self, kind: str, members: Mapping[str, Any]) -> bytes:
        event = encode({"type": kind, "sequence_number": self._number, **members})
        self._number += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), event)


def _status(output: ModelOutput) -> str:
    return "incomplete" if output.finish == "length" else "completed"


def _item_status(output: ModelOutput, index: int) -> str:
    """Return the status of an item; only the last item of a truncated output is incomplete."""
    last = sum(bool(part.tokens) for part in output.parts) - 1
    return _status(output) if index == last else "completed"


def _items(output: ModelOutput) -> list[dict[str, Any]]:
    parts = (part for part in output.parts if part.tokens)
    return [_item(output, index, part, _item_status(output, index)) for index, part in enumerate(parts)]


def _item_id(output: ModelOutput, index: int, part: Part) -> str:
    return f"{_ID_PREFIXES[part.kind]}_sim_{output.number}_{index}"


def _item(output: ModelOutput, index: int, part: Part, status: str) -> dict[str, Any]:
    """Return an item, empty while it is `in_progress`."""
    text = "" if status == "in_progress" else part.text
    shape: dict[str, Any] = {"id": _item_id(output, index, part)}
    match part.kind:
        case "thinking":
            shape |= {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}] if text else []}
            if output.request.extra["is_encrypted"]:
                shape["encrypted_content"] = signature_of(text) if text else ""
            return shape
        case "call":
            shape |= {"type": "function_call", "status": status, "call_id": part.id, "name": part.name}
            return {**shape, "arguments": text}
        case _:
            shape |= {"type": "message", "status": status, "role": "assistant"}
            return {**shape, "content": [_content(part, text)] if text else []}


def _content(part: Part, text: str) -> dict[str, Any]:
    if part.kind == "refusal":
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _position(output: ModelOutput, index: int, part: Part) -> dict[str, Any]:
    position: dict[str, Any] = {"item_id": _item_id(output, index, part), "output_index": index}
    match part.kind:
        case "thinking":
            position["summary_index"] = 0
        case "text" | "refusal":
            position["content_index"] = 0
    return position


def _logprobs(part: Part) -> dict[str, Any]:
    return {"logprobs": []} if part.kind == "text" else {}


def _response(output: ModelOutput, status: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    is_over = status != "in_progress"
    error = {"code": "server_error", "message": "simulated failure of the answer"} if status == "failed" else None
    return {
        "id": f"resp_sim_{output.number}",
        "object": "response",
        "created_at": output.created,
        "status": status,
        "background": False,
        "error": error,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "model": output.request.model,
        "output": items,
        **output.request.extra["repeated"],
        "service_tier": "default",
        "usage": _usage(output) if is_over and not output.behaviour.no_usage else None,
    }


def _usage(output: ModelOutput) -> dict[str, Any]:
    behaviour = output.behaviour
    cached, written = behaviour.cached_tokens or 0, behaviour.written_tokens or 0
    return {
        "input_tokens": output.prompt_tokens,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens": output.token_count,
        "output_tokens_details": {"reasoning_tokens": output.thinking_tokens},
        "total_tokens": output.prompt_tokens + output.token_count,
    }

"""Neutral events as a stream of OpenAI's responses.

An answer is a list of items: messages, reasoning, calls. Every item is announced, grows by deltas, and is sent whole when it
ends; the last event holds the whole answer. An item ends before the next begins, as some clients count on it
(`part_order.py`).
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Raw

from gateway.core.chat import ChatRequest
from gateway.core.conversation import (
    Failure,
    Finish,
    RefusalDelta,
    Signature,
    Start,
    StopReason,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStart,
    UsageReport,
)
from gateway.core.errors import ProtocolError
from gateway.core.usage import Usage as Tokens
from gateway.dialects.json_text import quote
from gateway.dialects.openai_responses.answer import (
    ResponseShape,
    incomplete_reason,
    item_id,
    write_call,
    write_message,
    write_refusal,
    write_text,
)
from gateway.dialects.openai_responses.open_items import GrowingPart, OpenItem
from gateway.dialects.openai_responses.reasoning import encrypted_content_of
from gateway.dialects.part_order import Part, PartOrder

_NOTHING: Final = b'""'


class Encoder(PartOrder):
    """Encodes a client's stream."""

    __slots__ = (
        "_answer_id",
        "_call",
        "_current",
        "_has_refused",
        "_items",
        "_message",
        "_number",
        "_reasoning_item",
        "_request",
        "_shape",
        "_stop",
        "_usage",
    )

    def __init__(self, request: ChatRequest) -> None:
        super().__init__()
        self._request = request
        self._answer_id = ""
        self._shape: ResponseShape | None = None
        self._number = -1  # of the last event
        self._items: list[dict[str, Any] | None] = []  # None: not ended
        self._message: OpenItem | None = None
        self._reasoning_item: OpenItem | None = None
        self._call: OpenItem | None = None
        self._current: GrowingPart | None = None  # the part of the last delta
        self._has_refused = False
        self._stop: StopReason = "end"
        self._usage: Tokens | None = None

    def _append(self, string: bytes) -> bytes:
        assert self._current is not None
        self._number += 1
        return self._current.append(self._number, string)

    def encode(self, event: StreamEvent) -> bytes:
        match event:
            case Start():
                return self._start(event)
            case UsageReport():
                self._usage = event.usage
                return b""
            case Finish():
                self._stop = event.stop
                return self._write_waiting() + self._end_last()
            case Failure():
                return self._fail(event)
        return self._in_order(event)

    def _write(self, event: Part) -> bytes:
        opened = b"" if event.index == self._part else self._open(event)
        match event:
            case TextDelta() | RefusalDelta() | ThinkingDelta():
                return opened + self._append(quote(event.text))
            case ToolCallDelta():
                return opened + self._append(quote(event.arguments))
            case Signature():
                return opened + self._signature(event)
        return opened

    def finish(self) -> bytes:
        assert self._shape is not None
        reason = self._reason
        response = self._shape.finished(reason, self._items, self._usage)
        name = "response.completed" if reason is None else "response.incomplete"
        return self._event(name, {"response": Raw(response)})

    @property
    def _reason(self) -> str | None:
        return incomplete_reason(self._stop, has_refused=self._has_refused)

    def _event(self, name: str, members: Mapping[str, Any]) -> bytes:
        self._number += 1
        data = quote({"type": name, "sequence_number": self._number, **members})
        return b"event: %b\ndata: %b\n\n" % (name.encode(), data)

    def _start(self, event: Start) -> bytes:
        self._answer_id = event.id
        self._shape = ResponseShape(event.id, event.model, event.created, event.service_tier, self._request)
        response = {"response": Raw(self._shape.in_progress())}
        return self._event("response.created", response) + self._event("response.in_progress", response)

    def _fail(self, event: Failure) -> bytes:
        """Return an event `error` and a failed response: some clients raise the former, others wait for the latter."""
        code = event.code or event.type or "server_error"
        error = {"type": event.type or "server_error", "code": code, "message": event.message, "param": None}
        members = {"code": code, "message": event.message, "param": None, "error": error}
        failed = self._event("error", members)
        if self._shape is None:
            return failed
        return failed + self._event("response.failed", {"response": Raw(self._shape.failed(event.message, code))})

    # Items

    def _add(self, prefix: str, call: ToolCallStart | None = None) -> OpenItem:
        position = len(self._items)
        self._items.append(None)
        return OpenItem(item_id(prefix, self._answer_id, position), position, call)

    def _announced(self, item: OpenItem, shape: dict[str, Any]) -> bytes:
        return self._event("response.output_item.added", {"output_index": item.position, "item": shape})

    def _ended(self, item: OpenItem, shape: dict[str, Any]) -> bytes:
        self._items[item.position] = shape
        return self._event("response.output_item.done", {"output_index": item.position, "item": shape})

    def _open(self, event: Part) -> bytes:
        """Return the end of the open item, and the beginning of the part of an event."""
        ended = self._end_call() + self._end_reasoning()
        if not isinstance(event, TextDelta | RefusalDelta):
            ended += self._end_message()
        self._part = event.index
        match event:
            case TextDelta() | RefusalDelta():
                self._has_refused = self._has_refused or isinstance(event, RefusalDelta)
                return ended + self._open_message_part(event)
            case ThinkingDelta():
                return ended + self._open_reasoning(event.index)
            case ToolCallStart():
                return ended + self._open_call(event)
            case ToolCallDelta():
                raise ProtocolError("the provider's stream continues a tool call that has ended")
        return ended

    # Messages

    def _open_message_part(self, event: TextDelta | RefusalDelta) -> bytes:
        """Open a part of a message, and a message if none is open."""
        written = b""
        message = self._message
        if message is None:
            message = self._message = self._add("msg")
            written = self._announced(message, write_message(message.id, [], "in_progress"))
        else:
            written = self._end_part(message)
        is_text = isinstance(event, TextDelta)
        position = {"item_id": message.id, "output_index": message.position, "content_index": len(message.content)}
        self._current = message.part = GrowingPart("output_text" if is_text else "refusal", event.index, position)
        part = write_text("") if is_text else write_refusal("")
        return written + self._event("response.content_part.added", {**position, "part": part})

    def _end_part(self, message: OpenItem) -> bytes:
        part = message.part
        assert part is not None
        if part.kind == "output_text":
            shape, members = write_text(part.text), {"text": part.text, "logprobs": []}
        else:
            shape, members = write_refusal(part.text), {"refusal": part.text}
        message.content.append(shape)
        written = self._event(f"response.{part.kind}.done", {**part.position, **members})
        return written + self._event("response.content_part.done", {**part.position, "part": shape})

    def _end_message(self, status: str = "completed") -> bytes:
        message, self._message = self._message, None
        if message is None:
            return b""
        written = self._end_part(message)
        return written + self._ended(message, write_message(message.id, message.content, status))

    # Reasoning

    def _open_reasoning(self, index: int) -> bytes:
        item = self._reasoning_item = self._add("rs")
        position = {"item_id": item.id, "output_index": item.position, "summary_index": 0}
        self._current = item.part = GrowingPart("reasoning_summary_text", index, position)
        written = self._announced(item, {"id": item.id, "type": "reasoning", "summary": []})
        part = {"type": "summary_text", "text": ""}
        return written + self._event("response.reasoning_summary_part.added", {**position, "part": part})

    def _end_reasoning(self, encrypted: str | None = None) -> bytes:
        item, self._reasoning_item = self._reasoning_item, None
        if item is None or item.part is None:
            return b""
        self._current = None
        position = item.part.position
        part = {"type": "summary_text", "text": item.part.text}
        written = self._event("response.reasoning_summary_text.done", {**position, "text": item.part.text})
        written += self._event("response.reasoning_summary_part.done", {**position, "part": part})
        shape = {"id": item.id, "type": "reasoning", "summary": [part], "encrypted_content": encrypted}
        return written + self._ended(item, shape)

    def _signature(self, event: Signature) -> bytes:
        encrypted = encrypted_content_of(event.signature, event.data)
        self._part = -1
        if not event.data and self._reasoning_item is not None:
            return self._end_reasoning(encrypted)
        written = self._end_reasoning() + self._end_message()
        self._current = None
        item = self._add("rs")
        shape: dict[str, Any] = {"id": item.id, "type": "reasoning", "summary": [], "encrypted_content": encrypted}
        return written + self._announced(item, shape) + self._ended(item, shape)

    # Calls

    def _open_call(self, event: ToolCallStart) -> bytes:
        item = self._call = self._add("fc", event)
        position = {"item_id": item.id, "output_index": item.position}
        self._current = item.part = GrowingPart("function_call_arguments", event.index, position)
        self._arguments = item.part.pieces
        return self._announced(item, write_call(item.id, event.id, event.name, "", "in_progress"))

    def _end_call(self, status: str = "completed") -> bytes:
        """End a call; one without arguments gets an empty object, as clients parse arguments as JSON."""
        item, self._call, self._arguments = self._call, None, None
        if item is None:
            return b""
        assert item.part is not None and item.call is not None
        written = self._empty_arguments(item.part)
        arguments = item.part.text
        members = {**item.part.position, "name": item.call.name, "arguments": arguments}
        written += self._event("response.function_call_arguments.done", members)
        return written + self._ended(item, write_call(item.id, item.call.id, item.call.name, arguments, status))

    def _empty_arguments(self, part: GrowingPart) -> bytes:
        if bytes(part.text) != _NOTHING:
            return b""
        self._number += 1
        return part.append(self._number, b'"{}"')

    # Ends

    def _end_last(self) -> bytes:
        """End the open item: only the last item can be incomplete."""
        self._part = -1
        status = "completed" if self._reason is None else "incomplete"
        return self._end_reasoning() + self._end_message(status) + self._end_call(status)

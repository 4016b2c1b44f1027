"""Streams of OpenAI's responses as neutral events.

OpenAI names the item of every event by its id and its position; other servers omit the position, the number of the event, and
most of the answer before its end. So an item is found by whichever name an event has, and content that came in no delta is
taken from the item's end.
"""

from collections.abc import Iterator

import msgspec

from gateway.core.conversation import (
    Failure,
    Finish,
    Refusal,
    RefusalDelta,
    Signature,
    Start,
    StreamEvent,
    Text,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStart,
    UsageReport,
)
from gateway.core.errors import ProtocolError
from gateway.dialects.json_text import Template
from gateway.dialects.openai_responses.answer import (
    Error,
    Item,
    Response,
    parts_of,
    reasoning_text_of,
    stop_reason,
)
from gateway.dialects.openai_responses.deltas import DeltaTemplate, delta_template_of
from gateway.dialects.openai_responses.reasoning import PARAGRAPH_BREAK, signature_of_item
from gateway.dialects.openai_responses.usage import read_usage
from gateway.streaming.sse import data_of


class _Event(msgspec.Struct):
    type: str = ""
    delta: str = ""
    item_id: str | None = None
    output_index: int | None = None
    content_index: int = 0
    summary_index: int = 0
    item: Item | None = None
    response: Response | None = None
    error: Error | str | None = None  # of an event `error`; some servers put its members in here, some beside it
    message: str | None = None
    code: str | int | None = None


_decode_event = msgspec.json.Decoder(_Event).decode


class _OpenItem:
    """An item of the answer so far. `parts`: by position in its content, the index of a part."""

    __slots__ = ("parts", "type")

    def __init__(self, type: str) -> None:
        self.type = type
        self.parts: dict[int, int] = {}


class Decoder:
    """Decodes a provider's stream. Parts are numbered as they begin."""

    __slots__ = ("_has_calls", "_has_refused", "_has_started", "_items", "_last", "_parts", "_template", "is_done")

    def __init__(self) -> None:
        self.is_done = False
        self._has_started = self._has_calls = self._has_refused = False
        self._items: dict[str | int, _OpenItem] = {}  # by each of their names
        self._last: _OpenItem | None = None
        self._parts = 0
        self._template: Template | DeltaTemplate | None = None

    def string_delta(self, event: bytes) -> bytes | None:
        return None if self._template is None else self._template.string_of(event)

    def feed(self, event: bytes) -> list[StreamEvent]:
        self._template = None
        data = data_of(event)
        if data is None or not (data := data.strip()) or data == b"[DONE]":
            return []
        try:
            read = _decode_event(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ProtocolError("the provider's stream holds something that is no event of a response") from None
        found = list(self._read(read))
        if read.type.endswith(".delta") and len(found) == 1:
            self._template = delta_template_of(event)
        return found

    def _read(self, event: _Event) -> Iterator[StreamEvent]:
        if event.response is not None and not self._has_started:
            self._has_started = True
            response = event.response
            yield Start(response.id, response.model, int(response.created_at or 0), None, response.service_tier)
        match event.type.removeprefix("response."):
            case "output_text.delta" | "refusal.delta" | "reasoning_summary_text.delta" | "reasoning_text.delta":
                if event.delta:
                    yield self._text_delta(event)
            case "function_call_arguments.delta":
                if event.delta:
                    yield ToolCallDelta(self._call(event), event.delta)
            case "output_item.added" if event.item is not None:
                yield from self._begin_item(event, event.item)
            case "reasoning_summary_part.added" if event.summary_index > 0:
                open_item = self._item(event, "reasoning")
                if open_item.parts:
                    yield ThinkingDelta(self._part(open_item, 0), PARAGRAPH_BREAK)
            case "output_item.done" if event.item is not None:
                yield from self._end_item(event, event.item)
            case "completed" | "incomplete" if event.response is not None:
                yield from self._finish(event.response)
            case "failed" | "error":
                yield _failure(event)

    # Items

    def _begin_item(self, event: _Event, item: Item) -> Iterator[StreamEvent]:
        if item.type not in ("message", "reasoning", "function_call"):
            raise ProtocolError(f"the provider's stream holds an item of type {item.type[:40]!r}")
        opened = self._last = _OpenItem(item.type)
        for name in (event.output_index, item.id, item.call_id):
            if name is not None and name != "":
                self._items[name] = opened
        if item.type == "function_call":
            self._has_calls = True
            yield ToolCallStart(self._part(opened, 0), item.call_id or item.id, item.name)

    def _item(self, event: _Event, type: str) -> _OpenItem:
        """Return the item of an event: the one that it names, otherwise the last item if it is of the type, else a new one."""
        for name in (event.item_id, event.output_index):
            if name is not None and (found := self._items.get(name)) is not None and found.type == type:
                return found
        if self._last is not None and self._last.type == type:
            return self._last
        if type == "function_call":
            raise ProtocolError("the provider's stream continues a tool call that did not begin")
        opened = self._last = _OpenItem(type)
        for name in (event.item_id, event.output_index):
            if name is not None:
                self._items[name] = opened
        return opened

    def _part(self, item: _OpenItem, position: int) -> int:
        part = item.parts.get(position)
        if part is None:
            part = item.parts[position] = self._parts
            self._parts += 1
        return part

    def _text_delta(self, event: _Event) -> StreamEvent:
        if event.type == "response.output_text.delta":
            return TextDelta(self._part(self._item(event, "message"), event.content_index), event.delta)
        if event.type == "response.refusal.delta":
            self._has_refused = True
            return RefusalDelta(self._part(self._item(event, "message"), event.content_index), event.delta)
        return ThinkingDelta(self._part(self._item(event, "reasoning"), 0), event.delta)

    def _call(self, event: _Event) -> int:
        item = self._item(event, "function_call")
        item.parts[1] = item.parts[0]  # notes that arguments came in deltas
        return item.parts[0]

    def _end_item(self, event: _Event, item: Item) -> Iterator[StreamEvent]:
        """Yield events for the content that came in no delta."""
        names = (event.output_index, item.id, item.call_id)
        known = next((self._items[name] for name in names if name is not None and name in self._items), None)
        if known is None:
            yield from self._begin_item(event, item)
            known = self._last
        assert known is not None
        match item.type:
            case "function_call":
                if item.arguments and 1 not in known.parts:
                    yield ToolCallDelta(known.parts[0], item.arguments)
            case "reasoning":
                yield from self._reasoning_item(known, item)
            case "message":
                for position, part in enumerate(parts_of(item)):
                    if position in known.parts:
                        continue
                    if isinstance(part, Text) and part.text:
                        yield TextDelta(self._part(known, position), part.text)
                    elif isinstance(part, Refusal):
                        self._has_refused = True
                        yield RefusalDelta(self._part(known, position), part.text)

    def _reasoning_item(self, known: _OpenItem, item: Item) -> Iterator[StreamEvent]:
        text = reasoning_text_of(item)
        if text and not known.parts:
            yield ThinkingDelta(self._part(known, 0), text)
        if item.encrypted_content:
            signature, has_text = signature_of_item(item.id, item.encrypted_content), bool(known.parts)
            part = self._part(known, 0)
            yield Signature(part, signature) if has_text else Signature(part, data=signature)

    def _finish(self, response: Response) -> Iterator[StreamEvent]:
        self.is_done = True
        usage = read_usage(response.usage)
        if usage is not None:
            yield UsageReport(usage)
        yield Finish(stop_reason(response, has_calls=self._has_calls, has_refused=self._has_refused))


def _failure(event: _Event) -> Failure:
    """Return the error of an event: in its answer, in its member `error`, or in its own members."""
    details = event.error if event.response is None else event.response.error
    if details is None:
        details = Error(event.message, None, event.code)
    error = Error(details) if isinstance(details, str) else details
    code = None if error.code is None else str(error.code)
    return Failure(error.message or "the provider reported an error", error.type or "server_error", code)

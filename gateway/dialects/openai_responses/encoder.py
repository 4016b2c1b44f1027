"""Neutral events as a stream of OpenAI's responses.

An answer is a row of items: messages, thoughts, calls. Every item is announced, grows, and is given whole when it ends; the
whole answer stands in the last event. Words and thoughts end when something else begins. Calls may take turns, so they end
with the answer.
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
from gateway.dialects.json_text import Pieces, quote
from gateway.dialects.openai_responses.answer import (
    Frame,
    incomplete_reason,
    item_id,
    write_call,
    write_message,
    write_refusal,
    write_text,
)
from gateway.dialects.openai_responses.reasoning import sealed

_NOTHING: Final = b'""'


class _Part:
    """Words that grow: a text, a refusal, a summary of thoughts, or the arguments of a call."""

    __slots__ = ("_after", "_before", "_tail", "index", "kind", "pieces", "place")

    def __init__(self, kind: str, index: int, place: Mapping[str, Any]) -> None:
        self.kind = kind  # of its events, as in response.<kind>.delta
        self.index = index  # of the neutral part
        self.place = place  # where it stands, as its events say it
        self.pieces = Pieces()
        name = f"response.{kind}.delta".encode()
        self._before = b'event: %b\ndata: {"type":"%b","sequence_number":' % (name, name)
        self._after = b',%b,"delta":' % quote(place)[1:-1]
        self._tail = b',"logprobs":[]}\n\n' if kind == "output_text" else b"}\n\n"

    def grow(self, number: int, string: bytes) -> bytes:
        """Give the event that adds a JSON string."""
        self.pieces.add(string)
        return b"%b%d%b%b%b" % (self._before, number, self._after, string, self._tail)

    @property
    def text(self) -> Raw:
        return Raw(self.pieces.joined())


class _Item:
    """An item that has been announced and has not ended."""

    __slots__ = ("call", "content", "id", "part", "place")

    def __init__(self, identity: str, place: int, call: ToolCallStart | None = None) -> None:
        self.id = identity
        self.place = place
        self.call = call
        self.content: list[dict[str, Any]] = []  # of a message, what has ended
        self.part: _Part | None = None


class Encoder:
    """Writes a client's stream."""

    __slots__ = (
        "_answer_id",
        "_calls",
        "_frame",
        "_growing",
        "_has_refused",
        "_items",
        "_message",
        "_number",
        "_request",
        "_stop",
        "_thoughts",
        "_usage",
    )

    def __init__(self, request: ChatRequest) -> None:
        self._request = request
        self._answer_id = ""
        self._frame: Frame | None = None
        self._number = -1  # of the last event
        self._items: list[dict[str, Any] | None] = []  # None: it has not ended
        self._message: _Item | None = None
        self._thoughts: _Item | None = None
        self._calls: dict[int, _Item] = {}  # by the index of their part
        self._growing: _Part | None = None  # what the last delta went to
        self._has_refused = False
        self._stop: StopReason = "end"
        self._usage: Tokens | None = None

    def more(self, string: bytes) -> bytes:
        assert self._growing is not None
        self._number += 1
        return self._growing.grow(self._number, string)

    def encode(self, event: StreamEvent) -> bytes:
        match event:
            case TextDelta() | RefusalDelta() | ThinkingDelta():
                growing = self._growing
                opened = b"" if growing is not None and growing.index == event.index else self._open(event)
                return opened + self.more(quote(event.text))
            case ToolCallDelta():
                return self._arguments(event.index, quote(event.arguments))
            case ToolCallStart():
                return self._end_words() + self._call(event)
            case Signature():
                return self._signature(event)
            case Start():
                return self._start(event)
            case UsageReport():
                self._usage = event.usage
                return b""
            case Finish():
                self._stop = event.stop
                return self._end_all()
            case Failure():
                return self._fail(event)

    def finish(self) -> bytes:
        assert self._frame is not None
        reason = self._reason
        response = self._frame.ended(reason, self._items, self._usage)
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
        self._frame = Frame(event.id, event.model, event.created, event.service_tier, self._request)
        response = {"response": Raw(self._frame.begun())}
        return self._event("response.created", response) + self._event("response.in_progress", response)

    def _fail(self, event: Failure) -> bytes:
        """Tell both kinds of client: who raises what an event `error` says, and who waits for the answer to fail."""
        code = event.code or event.type or "server_error"
        error = {"type": event.type or "server_error", "code": code, "message": event.message, "param": None}
        told = {"code": code, "message": event.message, "param": None, "error": error}
        failed = self._event("error", told)
        if self._frame is None:
            return failed
        return failed + self._event("response.failed", {"response": Raw(self._frame.failed(event.message, code))})

    # Items

    def _add(self, prefix: str, call: ToolCallStart | None = None) -> _Item:
        place = len(self._items)
        self._items.append(None)
        return _Item(item_id(prefix, self._answer_id, place), place, call)

    def _added(self, item: _Item, shape: dict[str, Any]) -> bytes:
        return self._event("response.output_item.added", {"output_index": item.place, "item": shape})

    def _done(self, item: _Item, shape: dict[str, Any]) -> bytes:
        self._items[item.place] = shape
        return self._event("response.output_item.done", {"output_index": item.place, "item": shape})

    def _open(self, event: TextDelta | RefusalDelta | ThinkingDelta) -> bytes:
        """Go to the part of an event: one that is open still, since a call took a turn, or a new one."""
        for item in (self._message, self._thoughts):
            if item is not None and item.part is not None and item.part.index == event.index:
                self._growing = item.part
                return b""
        if isinstance(event, ThinkingDelta):
            return self._end_words() + self._think(event.index)
        self._has_refused = self._has_refused or isinstance(event, RefusalDelta)
        return self._end_thoughts() + self._speak(event)

    # Messages

    def _speak(self, event: TextDelta | RefusalDelta) -> bytes:
        """Open a part of a message, and a message where none is open."""
        written = b""
        message = self._message
        if message is None:
            message = self._message = self._add("msg")
            written = self._added(message, write_message(message.id, [], "in_progress"))
        else:
            written = self._end_part(message)
        is_text = isinstance(event, TextDelta)
        place = {"item_id": message.id, "output_index": message.place, "content_index": len(message.content)}
        self._growing = message.part = _Part("output_text" if is_text else "refusal", event.index, place)
        part = write_text("") if is_text else write_refusal("")
        return written + self._event("response.content_part.added", {**place, "part": part})

    def _end_part(self, message: _Item) -> bytes:
        part = message.part
        assert part is not None
        if part.kind == "output_text":
            shape, told = write_text(part.text), {"text": part.text, "logprobs": []}
        else:
            shape, told = write_refusal(part.text), {"refusal": part.text}
        message.content.append(shape)
        written = self._event(f"response.{part.kind}.done", {**part.place, **told})
        return written + self._event("response.content_part.done", {**part.place, "part": shape})

    def _end_message(self, status: str = "completed") -> bytes:
        message, self._message = self._message, None
        if message is None:
            return b""
        written = self._end_part(message)
        return written + self._done(message, write_message(message.id, message.content, status))

    # Thoughts

    def _think(self, index: int) -> bytes:
        item = self._thoughts = self._add("rs")
        place = {"item_id": item.id, "output_index": item.place, "summary_index": 0}
        self._growing = item.part = _Part("reasoning_summary_text", index, place)
        written = self._added(item, {"id": item.id, "type": "reasoning", "summary": []})
        part = {"type": "summary_text", "text": ""}
        return written + self._event("response.reasoning_summary_part.added", {**place, "part": part})

    def _end_thoughts(self, encrypted: str | None = None) -> bytes:
        item, self._thoughts = self._thoughts, None
        if item is None or item.part is None:
            return b""
        self._growing = None
        place = item.part.place
        part = {"type": "summary_text", "text": item.part.text}
        written = self._event("response.reasoning_summary_text.done", {**place, "text": item.part.text})
        written += self._event("response.reasoning_summary_part.done", {**place, "part": part})
        shape = {"id": item.id, "type": "reasoning", "summary": [part], "encrypted_content": encrypted}
        return written + self._done(item, shape)

    def _signature(self, event: Signature) -> bytes:
        encrypted = sealed(event.signature, event.data)
        thoughts = self._thoughts
        if not event.data and thoughts is not None:
            return self._end_thoughts(encrypted)
        written = self._end_words()
        self._growing = None
        item = self._add("rs")
        shape: dict[str, Any] = {"id": item.id, "type": "reasoning", "summary": [], "encrypted_content": encrypted}
        return written + self._added(item, shape) + self._done(item, shape)

    # Calls

    def _call(self, event: ToolCallStart) -> bytes:
        item = self._calls[event.index] = self._add("fc", event)
        place = {"item_id": item.id, "output_index": item.place}
        self._growing = item.part = _Part("function_call_arguments", event.index, place)
        return self._added(item, write_call(item.id, event.id, event.name, "", "in_progress"))

    def _arguments(self, index: int, string: bytes) -> bytes:
        item = self._calls.get(index)
        if item is None:
            raise ProtocolError("the provider's stream goes on with a tool call that has ended")
        self._growing = item.part
        return self.more(string)

    def _end_call(self, index: int, status: str) -> bytes:
        """End a call; one without arguments gets an empty object, which clients can read."""
        item = self._calls.pop(index)
        assert item.part is not None and item.call is not None
        written = self._arguments_of_none(item.part)
        arguments = item.part.text
        told = {**item.part.place, "name": item.call.name, "arguments": arguments}
        written += self._event("response.function_call_arguments.done", told)
        return written + self._done(item, write_call(item.id, item.call.id, item.call.name, arguments, status))

    def _arguments_of_none(self, part: _Part) -> bytes:
        if bytes(part.text) != _NOTHING:
            return b""
        self._number += 1
        return part.grow(self._number, b'"{}"')

    # Ends

    def _end_words(self) -> bytes:
        return self._end_thoughts() + self._end_message()

    def _end_all(self) -> bytes:
        """End all that is open; what was cut is the last of it."""
        status = "completed" if self._reason is None else "incomplete"
        written = self._end_thoughts()
        last = len(self._items) - 1
        written += self._end_message(
            status if self._message is not None and self._message.place == last else "completed"
        )
        for index, item in list(self._calls.items()):
            written += self._end_call(index, status if item.place == last else "completed")
        return written

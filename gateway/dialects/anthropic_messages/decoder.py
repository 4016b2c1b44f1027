"""Streams of Anthropic's messages as neutral events."""

from collections.abc import Iterator
from typing import Final

import msgspec

from gateway.core.conversation import (
    Failure,
    Finish,
    Signature,
    Start,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStart,
    UsageReport,
)
from gateway.core.errors import ProtocolError
from gateway.core.usage import Usage
from gateway.dialects.anthropic_messages import usage as anthropic_usage
from gateway.dialects.json_text import Template, template_of
from gateway.dialects.stop_reasons import STOPS, given_reason
from gateway.streaming.sse import data_of


class _Delta(msgspec.Struct):
    type: str | None = None
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _Block(msgspec.Struct):
    type: str
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _Message(msgspec.Struct):
    id: str = ""
    model: str = ""
    usage: anthropic_usage.Usage | None = None


class _Error(msgspec.Struct):
    type: str = ""
    message: str = "the provider reported an error"


class _Event(msgspec.Struct):
    type: str
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: anthropic_usage.Usage | None = None
    error: _Error | None = None


_PADDED: Final = (b" }\n\n", b" }\r\n\r\n")
_MEMBERS: Final = ((TextDelta, b"text"), (ThinkingDelta, b"thinking"), (ToolCallDelta, b"partial_json"))
_decode_event = msgspec.json.Decoder(_Event).decode


class Decoder:
    """Decodes a provider's stream. Parts are numbered in the order in which blocks begin, whatever index the blocks have."""

    __slots__ = ("_calls", "_count", "_parts", "_template", "_usage", "is_done")

    def __init__(self) -> None:
        self.is_done = False
        self._usage: Usage | None = None
        self._template: Template | None = None
        self._count = 0  # of parts
        self._parts: dict[int, int] = {}  # the index of a block to the index of its part
        self._calls: set[int] = set()  # the parts that are tool calls

    def string_delta(self, event: bytes) -> bytes | None:
        template = self._template
        if template is None:
            return None
        string = template.string_of(event)
        return template.string_of(_unpadded(event)) if string is None and event.endswith(_PADDED) else string

    def feed(self, event: bytes) -> list[StreamEvent]:
        self._template = None
        data = data_of(event)
        if data is None or not data.strip():
            return []
        try:
            read = _decode_event(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ProtocolError("the provider's stream holds something that is no event of a message") from None
        found = list(self._read(read))
        if len(found) == 1 and read.type == "content_block_delta":
            for kind, member in _MEMBERS:
                if isinstance(found[0], kind):
                    self._template = template_of(_unpadded(event), member)
        return found

    def _read(self, event: _Event) -> Iterator[StreamEvent]:
        match event.type:
            case "content_block_delta" if event.delta is not None:
                yield from self._delta(event.index, event.delta)
            case "content_block_start" if event.content_block is not None:
                yield from self._block(event.index, event.content_block)
            case "message_start":
                message = event.message or _Message()
                self._usage = anthropic_usage.read_usage(message.usage)
                yield Start(message.id, message.model, usage=self._usage)
            case "message_delta":
                self._usage = anthropic_usage.read_usage(event.usage, self._usage)
                if self._usage is not None:
                    yield UsageReport(self._usage)
                delta = event.delta or _Delta()
                if (reason := given_reason(delta.stop_reason)) in STOPS:
                    yield Finish(STOPS[reason], delta.stop_sequence)
            case "message_stop":
                self.is_done = True
            case "error":
                error = event.error or _Error()
                yield Failure(error.message, error.type)

    def _delta(self, number: int, delta: _Delta) -> Iterator[StreamEvent]:
        index = self._parts.get(number)
        if index is None:
            index = self._begin(number)
        is_call = index in self._calls
        if is_call and (delta.text or delta.thinking or delta.signature):
            raise ProtocolError("the provider's stream holds text within a tool call")
        if delta.partial_json and not is_call:
            raise ProtocolError("the provider's stream continues a tool call that did not begin")
        if delta.text:
            yield TextDelta(index, delta.text)
        if delta.partial_json:
            yield ToolCallDelta(index, delta.partial_json)
        if delta.thinking:
            yield ThinkingDelta(index, delta.thinking)
        if delta.signature:
            yield Signature(index, delta.signature)

    def _begin(self, number: int) -> int:
        """Return the index of the part that begins with a block."""
        index = self._parts[number] = self._count
        self._count += 1
        return index

    def _block(self, number: int, block: _Block) -> Iterator[StreamEvent]:
        index = self._begin(number)
        match block.type:
            case "text":
                if block.text:
                    yield TextDelta(index, block.text)
            case "thinking":
                if block.thinking:
                    yield ThinkingDelta(index, block.thinking)
                if block.signature:
                    yield Signature(index, block.signature)
            case "redacted_thinking":
                yield Signature(index, data=block.data)
            case "tool_use":
                self._calls.add(index)
                yield ToolCallStart(index, block.id, block.name)
                if bytes(block.input).strip(b"{} \n\r\t"):
                    yield ToolCallDelta(index, bytes(block.input).decode())
            case _:
                raise ProtocolError(f"the provider's stream holds a block of type {block.type[:40]!r}")


def _unpadded(event: bytes) -> bytes:
    """Return an event without the spaces before its last brace, which pad it to hide the length of its text."""
    end = event.rfind(b"}")
    if event[end - 1 : end] != b" ":
        return event
    return event[:end].rstrip(b" ") + event[end:]

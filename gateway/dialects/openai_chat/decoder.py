"""Streams of OpenAI's chat completions as neutral events."""

from collections.abc import Iterator
from typing import Final

import msgspec

from gateway.core.conversation import (
    Failure,
    Finish,
    RefusalDelta,
    Start,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStart,
    UsageReport,
)
from gateway.core.errors import ProtocolError
from gateway.dialects.json_text import Template, template_of
from gateway.dialects.openai_chat.answer import stop_reason
from gateway.dialects.openai_chat.usage import Usage, read_usage
from gateway.dialects.stop_reasons import STOPS, given_reason
from gateway.streaming.sse import data_of


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None
    index: int = 0


class _Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None


class _Chunk(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    created: float | None = None
    choices: list[_Choice] | None = None
    usage: Usage | None = None
    service_tier: str | None = None
    error: _Error | str | None = None


_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_MEMBERS: Final = ((TextDelta, b"content"), (ThinkingDelta, b"reasoning_content"), (ToolCallDelta, b"arguments"))


class Decoder:
    """Decodes a provider's stream. Parts are numbered as they begin: thinking, text, refusals and tool calls in any order."""

    __slots__ = ("_calls", "_has_refused", "_has_started", "_ids", "_index", "_kind", "_template", "is_done")

    def __init__(self) -> None:
        self.is_done = False
        self._has_started = False
        self._has_refused = False
        self._index = -1  # of the current part
        self._kind = ""  # the member that holds the current part
        self._calls: dict[int, int] = {}  # the provider's number of a call to the index of its part
        self._ids: dict[int, str] = {}
        self._template: Template | None = None

    def string_delta(self, event: bytes) -> bytes | None:
        return None if self._template is None else self._template.string_of(event)

    def feed(self, event: bytes) -> list[StreamEvent]:
        self._template = None
        data = data_of(event)
        if data is None or not (data := data.strip()):
            return []
        if data == b"[DONE]":
            self.is_done = True
            return []
        try:
            chunk = _decode_chunk(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ProtocolError("the provider's stream holds something that is no chat completion chunk") from None
        found = list(self._read(chunk))
        if len(found) == 1:
            self._learn(event, found[0])
        return found

    def _learn(self, event: bytes, found: StreamEvent) -> None:
        for kind, member in _MEMBERS:
            if isinstance(found, kind):
                self._template = template_of(event, member)

    def _read(self, chunk: _Chunk) -> Iterator[StreamEvent]:
        if chunk.error is not None:
            error = _Error(chunk.error) if isinstance(chunk.error, str) else chunk.error
            code = None if error.code is None else str(error.code)
            yield Failure(error.message or "the provider reported an error", error.type or "", code)
            return
        choices = chunk.choices or ()
        if not self._has_started and choices:
            self._has_started = True
            yield Start(chunk.id or "", chunk.model or "", int(chunk.created or 0), None, chunk.service_tier)
        for choice in choices:
            if choice.index == 0:
                yield from self._choice(choice)
        usage = read_usage(chunk.usage)
        if usage is not None:
            yield UsageReport(usage)

    def _choice(self, choice: _Choice) -> Iterator[StreamEvent]:
        delta = choice.delta
        if delta is not None:
            if thinking := delta.reasoning_content or delta.reasoning:
                yield ThinkingDelta(self._part("thinking"), thinking)
            if delta.content:
                yield TextDelta(self._part("text"), delta.content)
            if delta.refusal:
                self._has_refused = True
                yield RefusalDelta(self._part("refusal"), delta.refusal)
            for call in delta.tool_calls or ():
                yield from self._call(call)
        if (reason := given_reason(choice.finish_reason)) in STOPS:
            yield Finish(stop_reason(reason, has_calls=bool(self._calls), has_refused=self._has_refused))

    def _part(self, kind: str) -> int:
        if kind != self._kind:
            self._kind = kind
            self._index += 1
        return self._index

    def _call(self, call: _Call) -> Iterator[StreamEvent]:
        """Yield the events of a tool call, which begins with id and name. Some servers send no index, some always 0."""
        function = call.function or _Function()
        number = call.index if call.index is not None else max(self._calls, default=-1) + bool(call.id)
        part = self._calls.get(number)
        if part is not None and call.id and function.name and call.id != self._ids[number]:
            number = max(self._calls) + 1
            part = None
        if part is None:
            if not function.name:
                raise ProtocolError("the provider's stream continues a tool call that did not begin")
            self._index += 1
            self._kind = "call"
            part = self._calls[number] = self._index
            self._ids[number] = call.id or f"call_{number}"
            yield ToolCallStart(part, self._ids[number], function.name)
        if function.arguments:
            yield ToolCallDelta(part, function.arguments)

"""Streams of OpenAI's completions as neutral events."""

import msgspec

from gateway.core.conversation import (
    Failure,
    Finish,
    Start,
    StreamEvent,
    TextDelta,
    UsageReport,
)
from gateway.core.errors import ProtocolError
from gateway.dialects.json_text import Template, template_of
from gateway.dialects.openai_chat import usage as openai_usage
from gateway.dialects.stop_reasons import STOPS, given_reason
from gateway.streaming.sse import data_of


class _Choice(msgspec.Struct):
    text: str | None = None
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
    usage: openai_usage.Usage | None = None
    error: _Error | str | None = None


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class Decoder:
    """Decodes a provider's stream: one text."""

    __slots__ = ("_has_started", "_template", "is_done")

    def __init__(self) -> None:
        self.is_done = False
        self._has_started = False
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
            raise ProtocolError("the provider's stream holds something that is no completion") from None
        found = self._read(chunk)
        if len(found) == 1 and isinstance(found[0], TextDelta):
            self._template = template_of(event, b"text")
        return found

    def _read(self, chunk: _Chunk) -> list[StreamEvent]:
        found: list[StreamEvent] = []
        if chunk.error is not None:
            error = _Error(chunk.error) if isinstance(chunk.error, str) else chunk.error
            code = None if error.code is None else str(error.code)
            return [Failure(error.message or "the provider reported an error", error.type or "", code)]
        if not self._has_started and chunk.choices:
            self._has_started = True
            found.append(Start(chunk.id or "", chunk.model or "", int(chunk.created or 0)))
        for choice in chunk.choices or ():
            if choice.text:
                found.append(TextDelta(0, choice.text))
            if (reason := given_reason(choice.finish_reason)) in STOPS:
                found.append(Finish(STOPS[reason]))
        usage = openai_usage.read_usage(chunk.usage)
        return found if usage is None else [*found, UsageReport(usage)]

"""Streams of OpenAI's completions in neutral events, and back."""

from typing import Any, Final

import msgspec

from gateway.core.chat import ChatRequest
from gateway.core.conversation import (
    Failure,
    Finish,
    RefusalDelta,
    Start,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    UsageReport,
)
from gateway.core.errors import ProtocolError
from gateway.core.usage import Usage
from gateway.dialects.json_text import Template, quote, template_of
from gateway.dialects.openai_chat import usage as openai_usage
from gateway.dialects.openai_chat.answer import STOPS
from gateway.dialects.openai_completions.answer import finish_reason
from gateway.streaming.sse import data_of

_DONE: Final = b"data: [DONE]\n\n"


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
    """Reads a provider's stream: one text."""

    __slots__ = ("_has_started", "_template", "is_done")

    def __init__(self) -> None:
        self.is_done = False
        self._has_started = False
        self._template: Template | None = None

    def more(self, event: bytes) -> bytes | None:
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
            if choice.finish_reason is not None:
                found.append(Finish(STOPS.get(choice.finish_reason, "end")))
        usage = openai_usage.read_usage(chunk.usage)
        return found if usage is None else [*found, UsageReport(usage)]


class Encoder:
    """Writes a client's stream. Thoughts have no place in it; the words of a refusal are text."""

    __slots__ = ("_head", "_is_hidden", "_request", "_said", "_tail", "_usage")

    def __init__(self, request: ChatRequest) -> None:
        self._request = request
        self._head = b""
        self._tail = b',"usage":null}\n\n' if request.wants_usage else b"}\n\n"
        self._usage: Usage | None = None
        self._is_hidden = False  # the last delta was none of words
        self._said = False  # there has been a word

    def more(self, string: bytes) -> bytes:
        return b"" if self._is_hidden else self._chunk(string)

    def encode(self, event: StreamEvent) -> bytes:
        match event:
            case TextDelta() | RefusalDelta():
                self._is_hidden, self._said = False, True
                return self._chunk(quote(event.text))
            case ThinkingDelta() | ToolCallDelta():
                self._is_hidden = True
            case Start():
                self._start(event)
            case UsageReport():
                self._usage = event.usage
            case Finish():
                return self._chunk(b'""', quote(finish_reason(event.stop, "said" if self._said else "")))
            case Failure():
                shape = {"message": event.message, "type": event.type or "server_error", "param": None}
                return b"data: %b\n\n" % quote({"error": {**shape, "code": event.code}})
        return b""

    def finish(self) -> bytes:
        if not self._request.wants_usage or self._usage is None:
            return _DONE
        usage = quote(openai_usage.write_usage(self._usage))
        return b'%b[],"usage":%b}\n\n%b' % (self._head, usage, _DONE)

    def _start(self, event: Start) -> None:
        start: dict[str, Any] = {
            "id": event.id,
            "object": "text_completion",
            "created": event.created,
            "model": event.model or self._request.model,
        }
        self._head = b'data: %b,"choices":' % quote(start)[:-1]

    def _chunk(self, text: bytes, reason: bytes = b"null") -> bytes:
        choice = (b'[{"text":', text, b',"index":0,"logprobs":null,"finish_reason":', reason, b"}]")
        return b"".join((self._head, *choice, self._tail))

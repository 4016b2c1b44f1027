"""Neutral events as a stream of OpenAI's completions."""

from typing import Any

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
from gateway.core.usage import Usage
from gateway.dialects.json_text import quote
from gateway.dialects.openai_chat import usage as openai_usage
from gateway.dialects.openai_chat.encoder import DONE, encode_failure
from gateway.dialects.openai_completions.answer import finish_reason


class Encoder:
    """Encodes a client's stream. Thinking is dropped; the text of a refusal is text."""

    __slots__ = ("_has_text", "_head", "_is_hidden", "_request", "_tail", "_usage")

    def __init__(self, request: ChatRequest) -> None:
        self._request = request
        self._head = b""
        self._tail = b',"usage":null}\n\n' if request.wants_usage else b"}\n\n"
        self._usage: Usage | None = None
        self._is_hidden = False  # the last delta was not text
        self._has_text = False  # some text was sent

    def append(self, string: bytes) -> bytes:
        return b"" if self._is_hidden else self._chunk(string)

    def encode(self, event: StreamEvent) -> bytes:
        match event:
            case TextDelta() | RefusalDelta():
                self._is_hidden, self._has_text = False, True
                return self._chunk(quote(event.text))
            case ThinkingDelta() | ToolCallDelta():
                self._is_hidden = True
            case Start():
                self._start(event)
            case UsageReport():
                self._usage = event.usage
            case Finish():
                return self._chunk(b'""', quote(finish_reason(event.stop, has_text=self._has_text)))
            case Failure():
                return encode_failure(event)
        return b""

    def finish(self) -> bytes:
        if not self._request.wants_usage or self._usage is None:
            return DONE
        usage = quote(openai_usage.write_usage(self._usage))
        return b'%b[],"usage":%b}\n\n%b' % (self._head, usage, DONE)

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

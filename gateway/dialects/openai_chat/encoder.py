"""Neutral events as a stream of OpenAI's chat completions."""

from typing import Any, Final

from msgspec import Raw

from gateway.core.chat import ChatRequest
from gateway.core.conversation import (
    Failure,
    Finish,
    RefusalDelta,
    Signature,
    Start,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStart,
    UsageReport,
)
from gateway.core.usage import Usage as Tokens
from gateway.dialects.json_text import Pieces, quote
from gateway.dialects.openai_chat.answer import finish_reason
from gateway.dialects.openai_chat.usage import write_usage

DONE: Final = b"data: [DONE]\n\n"


def encode_failure(failure: Failure) -> bytes:
    """Return a provider's error as an event; the official clients raise it."""
    shape = {"message": failure.message, "type": failure.type or "server_error", "param": None, "code": failure.code}
    return b"data: %b\n\n" % quote({"error": shape})


class Encoder:
    """Encodes a client's stream; with `wants_usage` it includes the usage event."""

    __slots__ = (
        "_around",
        "_bare_call",
        "_blocks",
        "_calls",
        "_has_refused",
        "_head",
        "_is_thinking",
        "_tail",
        "_thinking",
        "_usage",
        "_wants_usage",
    )

    def __init__(self, request: ChatRequest) -> None:
        self._wants_usage = request.wants_usage
        self._head = self._tail = b""
        self._around: tuple[bytes, bytes] = (b"", b"")  # bytes around a string that is appended to the current part
        self._usage: Tokens | None = None
        self._calls: dict[int, int] = {}  # the index of a part to the number of its call
        self._bare_call: int | None = None  # the last call, until the first of its arguments
        self._thinking = Pieces()
        self._blocks = 0  # of thinking, written whole
        self._is_thinking = False
        self._has_refused = False

    def append(self, string: bytes) -> bytes:
        if self._is_thinking:
            self._thinking.add(string)
        head, tail = self._around
        return b"".join((head, string, tail))

    def encode(self, event: StreamEvent) -> bytes:
        match event:
            case TextDelta():
                return self._text_delta(b"content", event.text)
            case ToolCallDelta():
                return self._arguments(self._calls[event.index], quote(event.arguments))
            case ThinkingDelta():
                if not self._is_thinking:
                    self._thinking = Pieces()
                return self._text_delta(b"reasoning_content", event.text, is_thinking=True)
            case RefusalDelta():
                self._has_refused = True
                return self._text_delta(b"refusal", event.text)
            case ToolCallStart():
                return self._call(event)
            case Signature():
                return self._signature(event)
            case Start():
                return self._start(event)
            case UsageReport():
                self._usage = event.usage
                return b""
            case Finish():
                reason = quote(finish_reason(event.stop, has_refused=self._has_refused))
                return self._close_call() + self._chunk(b"{}", reason)
            case Failure():
                return encode_failure(event)

    def finish(self) -> bytes:
        if not self._wants_usage or self._usage is None:
            return DONE
        usage = quote(write_usage(self._usage))
        return b'%b[],"usage":%b}\n\n%b' % (self._head, usage, DONE)

    def _start(self, event: Start) -> bytes:
        start: dict[str, Any] = {
            "id": event.id,
            "object": "chat.completion.chunk",
            "created": event.created,
            "model": event.model,
        }
        if event.service_tier is not None:
            start["service_tier"] = event.service_tier
        self._head = b'data: %b,"choices":' % quote(start)[:-1]
        self._tail = b',"usage":null}\n\n' if self._wants_usage else b"}\n\n"
        return self._chunk(b'{"role":"assistant","content":""}')

    def _chunk(self, delta: bytes, reason: bytes = b"null") -> bytes:
        choice = b'[{"index":0,"delta":%b,"logprobs":null,"finish_reason":%b}]' % (delta, reason)
        return b"".join((self._head, choice, self._tail))

    def _frame(self, before: bytes, after: bytes) -> None:
        self._around = (
            b'%b[{"index":0,"delta":%b' % (self._head, before),
            b'%b,"logprobs":null,"finish_reason":null}]%b' % (after, self._tail),
        )

    def _text_delta(self, member: bytes, text: str, *, is_thinking: bool = False) -> bytes:
        closed = self._close_call()
        self._is_thinking = is_thinking
        self._frame(b'{"%b":' % member, b"}")
        return closed + self.append(quote(text))

    def _call(self, event: ToolCallStart) -> bytes:
        closed = self._close_call()
        self._is_thinking = False
        number = self._bare_call = self._calls[event.index] = len(self._calls)
        call = {"index": number, "id": event.id, "type": "function", "function": {"name": event.name, "arguments": ""}}
        return closed + self._chunk(b'{"tool_calls":[%b]}' % quote(call))

    def _arguments(self, number: int, string: bytes) -> bytes:
        if number == self._bare_call and string != b'""':
            self._bare_call = None
        self._is_thinking = False
        self._frame(b'{"tool_calls":[{"index":%d,"function":{"arguments":' % number, b"}}]}")
        return self.append(string)

    def _close_call(self) -> bytes:
        """Return an empty object as the arguments of a call without any: clients parse them as JSON."""
        if self._bare_call is None:
            return b""
        return self._arguments(self._bare_call, b'"{}"')

    def _signature(self, event: Signature) -> bytes:
        """Return signed thinking as one block, which the client can send back with the message.

        The index tells the official clients that blocks are entries of a list: they raise, or keep the last, without it.
        """
        index, self._blocks = self._blocks, self._blocks + 1
        if event.data:
            block = quote({"index": index, "type": "redacted_thinking", "data": event.data})
        else:
            thinking = Raw(self._thinking.joined() if self._is_thinking else b'""')
            shape = {"index": index, "type": "thinking", "thinking": thinking, "signature": event.signature}
            block = quote(shape)
        self._is_thinking = False
        return self._chunk(b'{"thinking_blocks":[%b]}' % block)

"""Neutral events as a stream of Anthropic's messages.

A message is written block by block: the next block begins after the previous one has ended. Chat completions don't signal the
end of a part, and their tool calls may interleave. So a block ends when another part begins, except the block of a call: it
ends only once its arguments are whole JSON, and events of other parts wait until then.
"""

from typing import Any, Final

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
from gateway.core.errors import ProtocolError
from gateway.core.usage import Usage
from gateway.dialects.anthropic_messages import usage as anthropic_usage
from gateway.dialects.anthropic_messages.answer import STOP_REASONS
from gateway.dialects.json_text import Pieces, quote, unquote

PARSED_LIMIT: Final = (
    8 * 2**20
)  # bytes of arguments that are read to find their end, while others wait; then it comes last

_Part = TextDelta | ThinkingDelta | Signature | RefusalDelta | ToolCallStart | ToolCallDelta


class Encoder:
    """Encodes a client's stream."""

    __slots__ = (
        "_arguments",
        "_block",
        "_deltas",
        "_head",
        "_last",
        "_parsed_bytes",
        "_part",
        "_prompt_tokens",
        "_stop",
        "_usage",
        "_waiting",
    )

    def __init__(self, request: ChatRequest) -> None:
        self._prompt_tokens = request.tokens
        self._usage: Usage | None = None
        self._deltas = 0  # events with content: the estimate of output tokens if the provider reports none
        self._stop: Finish | None = None
        self._block = -1  # the index of the last block
        self._part = -1  # the index of the part written to it; -1: the block is closed
        self._head = b""  # bytes before a string that is appended to it
        self._arguments: Pieces | None = None  # of the open call
        self._waiting: dict[int, list[_Part]] = {}  # events by part, in the order in which the parts began
        self._last: _Part | None = None
        self._parsed_bytes = 0  # bytes of arguments

    def append(self, string: bytes) -> bytes:
        if self._waiting and isinstance(self._last, TextDelta | ThinkingDelta | RefusalDelta | ToolCallDelta):
            return self.encode(type(self._last)(self._last.index, unquote(string)))
        return self._append(string)

    def encode(self, event: StreamEvent) -> bytes:
        match event:
            case Start():
                return self._start(event)
            case UsageReport():
                self._usage = event.usage
                return b""
            case Finish():
                self._stop = event
                return self._flush()
            case Failure():
                shape = {"type": "error", "error": {"type": event.type or "api_error", "message": event.message}}
                return _event(b"error", quote(shape))
        self._last = event
        if event.index == self._part:
            return self._write(event) + self._catch_up()
        if self._waiting or not self._is_whole:
            self._waiting.setdefault(event.index, []).append(event)
            return b""
        return self._write(event)

    def finish(self) -> bytes:
        stop = self._stop or Finish("end")
        usage = self._usage or Usage(input=self._prompt_tokens, output=self._deltas, is_estimated=True)
        shape = {
            "type": "message_delta",
            "delta": {"stop_reason": STOP_REASONS[stop.stop], "stop_sequence": stop.stop_sequence},
            "usage": anthropic_usage.write_usage(usage),
        }
        return _event(b"message_delta", quote(shape)) + _event(b"message_stop", b'{"type":"message_stop"}')

    def _start(self, event: Start) -> bytes:
        usage = event.usage or Usage(input=self._prompt_tokens, is_estimated=True)
        message: dict[str, Any] = {
            "id": event.id,
            "type": "message",
            "role": "assistant",
            "model": event.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": anthropic_usage.write_usage(usage),
        }
        return _event(b"message_start", quote({"type": "message_start", "message": message}))

    # Blocks in their order

    @property
    def _is_whole(self) -> bool:
        """Return whether the open block can end."""
        if self._arguments is None:
            return True
        if self._parsed_bytes > PARSED_LIMIT:
            return False
        self._parsed_bytes += self._arguments.size
        return self._arguments.is_json

    def _catch_up(self) -> bytes:
        """Return the events that waited for blocks that have ended."""
        written: list[bytes] = []
        while self._waiting and self._is_whole:
            written += map(self._write, self._waiting.pop(next(iter(self._waiting))))
        return b"".join(written)

    def _flush(self) -> bytes:
        """Return all waiting events and the end of the last block; nothing follows."""
        written = [self._write(event) for events in self._waiting.values() for event in events]
        self._waiting = {}
        return b"".join((*written, self._close()))

    def _write(self, event: _Part) -> bytes:
        opened = b"" if event.index == self._part else self._close() + self._open(event)
        match event:
            case TextDelta() | RefusalDelta() | ThinkingDelta():
                return opened + self._append(quote(event.text))
            case ToolCallDelta():
                return opened + self._append(quote(event.arguments))
            case Signature(data=""):
                delta = b'{"type":"signature_delta","signature":%b}' % quote(event.signature)
                return opened + self._delta(delta)
        return opened

    def _append(self, string: bytes) -> bytes:
        """Return the event that appends a string to the open block."""
        self._deltas += 1
        if self._arguments is not None:
            self._arguments.add(string)
        return b"".join((self._head, string, b"}}\n\n"))

    def _open(self, event: _Part) -> bytes:
        self._part = event.index
        self._block += 1
        self._arguments = None
        kind = b""
        match event:
            case TextDelta() | RefusalDelta():
                block, kind = b'{"type":"text","text":""}', b'"text_delta","text":'
            case ThinkingDelta() | Signature(data=""):
                block = b'{"type":"thinking","thinking":"","signature":""}'
                kind = b'"thinking_delta","thinking":'
            case Signature():
                block = quote({"type": "redacted_thinking", "data": event.data})
            case ToolCallStart():
                block = quote({"type": "tool_use", "id": event.id, "name": event.name, "input": {}})
                kind = b'"input_json_delta","partial_json":'
                self._arguments = Pieces()
            case ToolCallDelta():
                raise ProtocolError("the provider's stream continues a tool call that has ended")
        head = b'{"type":"content_block_delta","index":%d,"delta":{"type":%b' % (self._block, kind)
        self._head = b"event: content_block_delta\ndata: " + head
        start = b'{"type":"content_block_start","index":%d,"content_block":%b}' % (self._block, block)
        return _event(b"content_block_start", start)

    def _delta(self, delta: bytes) -> bytes:
        data = b'{"type":"content_block_delta","index":%d,"delta":%b}' % (self._block, delta)
        return _event(b"content_block_delta", data)

    def _close(self) -> bytes:
        if self._part < 0:
            return b""
        self._part = -1
        self._arguments = None
        return _event(b"content_block_stop", b'{"type":"content_block_stop","index":%d}' % self._block)


def _event(name: bytes, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name, data)

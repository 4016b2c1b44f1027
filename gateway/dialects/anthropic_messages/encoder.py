"""Neutral events as a stream of Anthropic's messages.

A message is written block by block: the next begins when the one before has ended. Chat completions don't say when a part
has ended, and calls of tools may take turns there. So a block ends when another part begins; but that of a call only once
its arguments are whole, and until then what comes for others waits.
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

LOOKED_AT: Final = (
    8 * 2**20
)  # bytes of arguments that are read to find their end, while others wait; then it comes last

_Part = TextDelta | ThinkingDelta | Signature | RefusalDelta | ToolCallStart | ToolCallDelta


class Encoder:
    """Writes a client's stream."""

    __slots__ = (
        "_arguments",
        "_block",
        "_deltas",
        "_head",
        "_last",
        "_looked_at",
        "_part",
        "_prompt_tokens",
        "_stop",
        "_usage",
        "_waiting",
    )

    def __init__(self, request: ChatRequest) -> None:
        self._prompt_tokens = request.tokens
        self._usage: Usage | None = None
        self._deltas = 0  # so many events told of content: the estimate of whoever does not count
        self._stop: Finish | None = None
        self._block = -1  # the number of the last block
        self._part = -1  # the index of the part that is written to it; -1: none, it is closed
        self._head = b""  # before a string that goes on with it
        self._arguments: Pieces | None = None  # of the call that is being written
        self._waiting: dict[int, list[_Part]] = {}  # by part, in the order in which they began
        self._last: _Part | None = None
        self._looked_at = 0  # bytes of arguments

    def more(self, string: bytes) -> bytes:
        if self._waiting and isinstance(self._last, TextDelta | ThinkingDelta | RefusalDelta | ToolCallDelta):
            return self.encode(type(self._last)(self._last.index, unquote(string)))
        return self._add(string)

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
        """Whether the open block can end."""
        if self._arguments is None:
            return True
        if self._looked_at > LOOKED_AT:
            return False
        self._looked_at += self._arguments.size
        return self._arguments.is_json

    def _catch_up(self) -> bytes:
        """Write what has waited for the open block to end, as far as it has."""
        written: list[bytes] = []
        while self._waiting and self._is_whole:
            written += map(self._write, self._waiting.pop(next(iter(self._waiting))))
        return b"".join(written)

    def _flush(self) -> bytes:
        """Write everything, since nothing will come any more, and close the last block."""
        written = [self._write(event) for events in self._waiting.values() for event in events]
        self._waiting = {}
        return b"".join((*written, self._close()))

    def _write(self, event: _Part) -> bytes:
        opened = b"" if event.index == self._part else self._close() + self._open(event)
        match event:
            case TextDelta() | RefusalDelta() | ThinkingDelta():
                return opened + self._add(quote(event.text))
            case ToolCallDelta():
                return opened + self._add(quote(event.arguments))
            case Signature(data=""):
                delta = b'{"type":"signature_delta","signature":%b}' % quote(event.signature)
                return opened + self._delta(delta)
        return opened

    def _add(self, string: bytes) -> bytes:
        """Give the event that adds a string to the open block."""
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
                raise ProtocolError("the provider's stream goes on with a tool call that has ended")
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

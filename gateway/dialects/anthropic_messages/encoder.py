"""Neutral events as a stream of Anthropic's messages.

A message is written block by block: the next block begins after the previous one has ended (`part_order.py`).
"""

from typing import Any

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
from gateway.dialects.json_text import Pieces, quote
from gateway.dialects.part_order import Part, PartOrder


class Encoder(PartOrder):
    """Encodes a client's stream."""

    __slots__ = (
        "_block",
        "_deltas",
        "_head",
        "_prompt_tokens",
        "_stop",
        "_usage",
    )

    def __init__(self, request: ChatRequest) -> None:
        super().__init__()
        self._prompt_tokens = request.tokens
        self._usage: Usage | None = None
        self._deltas = 0  # events with content: the estimate of output tokens if the provider reports none
        self._stop: Finish | None = None
        self._block = -1  # the index of the last block
        self._head = b""  # bytes before a string that is appended to it

    def encode(self, event: StreamEvent) -> bytes:
        match event:
            case Start():
                return self._start(event)
            case UsageReport():
                self._usage = event.usage
                return b""
            case Finish():
                self._stop = event
                return self._write_waiting() + self._close()
            case Failure():
                return encode_failure(event)
        return self._in_order(event)

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

    def _write(self, event: Part) -> bytes:
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

    def _open(self, event: Part) -> bytes:
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


def encode_failure(failure: Failure) -> bytes:
    """Return a provider's error as an event; the official clients raise it."""
    shape = {"type": "error", "error": {"type": failure.type or "api_error", "message": failure.message}}
    return _event(b"error", quote(shape))


def _event(name: bytes, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name, data)

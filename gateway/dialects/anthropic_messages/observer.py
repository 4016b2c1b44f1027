"""A stream of Anthropic's messages that passes unchanged: its usage, its end, an error in it."""

from typing import Final

import msgspec

from gateway.core.errors import Unavailable
from gateway.dialects.anthropic_messages.usage import Usage, read_usage
from gateway.dialects.stream_observer import StreamObserver, decoded
from gateway.streaming.relay import EventKind
from gateway.streaming.sse import event_around

_STOP: Final = b'"message_stop"'
_ERROR: Final = b'"error"'
_USAGE: Final = b'"usage"'


class _Delta(msgspec.Struct):
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    signature: str = ""
    stop_reason: str | None = None


class _Start(msgspec.Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""


class _Opened(msgspec.Struct):
    usage: Usage | None = None


class _Event(msgspec.Struct):
    type: str
    delta: _Delta | None = None
    content_block: _Start | None = None
    message: _Opened | None = None
    usage: Usage | None = None


_decode_event = msgspec.json.Decoder(_Event).decode
_NOTHING: Final = _Delta()


class MessageStreamObserver(StreamObserver):
    """Observes one stream. Usage is part of every answer and there is one answer, whatever the client asks for."""

    __slots__ = ()

    EVENT = "event of a message"
    MARKS = (_STOP, _ERROR, _USAGE)

    def _kind_of(self, data: bytes) -> EventKind:
        event = _decode_event(data)
        match event.type:
            case "error":
                raise Unavailable("the provider reported an error in its stream")
            case "message_stop":
                return "end"
            case "content_block_delta":
                delta = event.delta or _Delta()
                return "content" if delta != _NOTHING else "prelude"
            case "content_block_start":
                block = event.content_block or _Start()
                is_empty = block.type in ("text", "thinking") and not (block.text or block.thinking)
                return "prelude" if is_empty else "content"
            case "message_delta":
                return "content"
        return "prelude"

    def _at_mark(self, mark: bytes, block: bytes) -> bytes:
        if mark is not _USAGE:
            return self._until(mark, block)
        self._take_usage(block)
        return block

    def _ends_with(self, event: bytes, mark: bytes) -> bool:
        found = decoded(_decode_event, event)
        if found is None or found.type != mark[1:-1].decode():
            return False
        self.is_done = mark is _STOP
        self.has_failed = not self.is_done
        return True

    def _take_usage(self, block: bytes) -> None:
        meter = self._meter
        at = block.find(_USAGE)
        while at >= 0:
            start, end = event_around(block, at)
            event = decoded(_decode_event, block[start:end])
            if event is not None:
                usage = event.message.usage if event.message is not None else event.usage
                meter.usage = read_usage(usage, meter.usage)
            at = block.find(_USAGE, end)

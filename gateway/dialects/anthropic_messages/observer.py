"""A stream of Anthropic's messages that passes unchanged: its usage, its end, an error in it."""

from typing import Final

import msgspec

from gateway.core.conversation import Failure
from gateway.dialects.anthropic_messages.encoder import encode_failure
from gateway.dialects.anthropic_messages.usage import Usage, read_usage
from gateway.dialects.stop_reasons import STOPS, given_reason
from gateway.dialects.stream_errors import is_named_error
from gateway.dialects.stream_observer import NAMED_ERROR, StreamObserver, decoded
from gateway.streaming.relay import EventKind
from gateway.streaming.sse import event_around

_STOP_REASON: Final = b'"stop_reason"'
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


class _End(msgspec.Struct):
    type: str
    delta: _Delta | None = None


class _Error(msgspec.Struct):
    type: str
    error: dict[str, msgspec.Raw]


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_end = msgspec.json.Decoder(_End).decode
_decode_error = msgspec.json.Decoder(_Error).decode
_NOTHING: Final = _Delta()


class MessageStreamObserver(StreamObserver):
    """Observes one stream. Usage is part of every answer and there is one answer, whatever the client asks for."""

    __slots__ = ()

    EVENT = "event of a message"
    MARKS = (_STOP_REASON, _STOP, _ERROR, NAMED_ERROR, _USAGE)

    def _kind_of(self, data: bytes) -> EventKind:
        event = _decode_event(data)
        match event.type:
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
                reason = given_reason((event.delta or _NOTHING).stop_reason)
                if reason and reason not in STOPS:
                    raise self._unknown_reason(reason)
                return "content" if reason else "prelude"
        return "prelude"

    def _at_mark(self, mark: bytes, block: bytes) -> bytes:
        if mark is _STOP_REASON:
            self._take_reason(block)
            return block
        if mark is not _USAGE:
            return self._until(mark, block)
        self._take_usage(block)
        return block

    def _ends_with(self, event: bytes, mark: bytes) -> bool:
        if mark is not _STOP:
            return self._fails_with(event)
        found = decoded(_decode_end, event)
        self.is_done = found is not None and found.type == "message_stop"
        return self.is_done

    def _is_readable(self, event: bytes) -> bool:
        """Return whether an event has the name `error`, which the official clients look for, and the dialect's shape."""
        found = decoded(_decode_error, event)
        return is_named_error(event) and found is not None and found.type == "error" and bool(found.error)

    def _encode_failure(self, failure: Failure) -> bytes:
        return encode_failure(failure)

    def _take_reason(self, block: bytes) -> None:
        at = block.find(_STOP_REASON)
        while at >= 0:
            start, end = event_around(block, at)
            event = decoded(_decode_end, block[start:end])
            if event is not None and event.type == "message_delta" and event.delta is not None:
                self._note(0, event.delta.stop_reason, has_content=False)
            at = block.find(_STOP_REASON, end)

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

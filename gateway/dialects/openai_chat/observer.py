"""A stream of OpenAI's chat completions that passes unchanged: its usage, its end, an error in it."""

import re
from typing import Final

import msgspec
from msgspec import Raw

from gateway.core.errors import Unavailable
from gateway.core.exchange import Meter
from gateway.dialects.openai_chat.encoder import DONE
from gateway.dialects.openai_chat.usage import Usage, read_usage
from gateway.dialects.stream_observer import StreamObserver, decoded
from gateway.streaming.relay import EventKind
from gateway.streaming.sse import event_around

_NULL: Final = Raw(b"null")
_NOTHING: Final = (b"null", b'""', b"[]")
_USAGE: Final = b'"usage"'
_FINISHES: Final = (b'"finish_reason":"', b'"finish_reason": "')  # JSON is written in either of two ways
_DONE: Final = b"[DONE]"
_ERROR: Final = b'"error"'
_DONE_LINE: Final = re.compile(rb"(?:^|[\r\n])data: ?\[DONE\][\r\n]")  # inside a text no line end precedes it


class _Choice(msgspec.Struct):
    delta: dict[str, Raw] | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: Usage | None = None
    error: Raw = _NULL

    @property
    def is_error(self) -> bool:
        return bytes(self.error) != b"null"


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class ChatStreamObserver(StreamObserver):
    """Observes one stream of `choices` answers side by side.

    With `hides_usage` the client did not ask for the usage event: its tokens are noted, and the event is not forwarded.
    """

    __slots__ = ("_hides_usage", "_unfinished")

    EVENT = "chat completion chunk"
    MARKS = (_USAGE, *_FINISHES, _DONE, _ERROR)

    def __init__(self, meter: Meter, *, hides_usage: bool, choices: int) -> None:
        super().__init__(meter, hides_usage=hides_usage, choices=choices)
        self._hides_usage = hides_usage
        self._unfinished = choices  # choices whose finish_reason has not passed yet

    def closing(self) -> bytes | None:
        """Return what the end of the stream lacks: b"" for nothing; None if the stream broke off."""
        if self.is_done or self.has_failed:
            return b""
        return None if self._unfinished > 0 else DONE

    def _kind_of(self, data: bytes) -> EventKind:
        if data == _DONE:
            return "end"
        chunk = _decode_chunk(data)
        if chunk.is_error:
            raise Unavailable("the provider reported an error in its stream")
        return "content" if any(map(_has_content, chunk.choices or ())) else "prelude"

    def _at_mark(self, mark: bytes, block: bytes) -> bytes:
        if mark is _USAGE:
            return self._take_usage(block)
        if mark in _FINISHES:
            self._unfinished -= block.count(mark)
            return block
        return self._until(mark, block)

    def _ends_with(self, event: bytes, mark: bytes) -> bool:
        if mark is _DONE:
            self.is_done = _DONE_LINE.search(event) is not None
            return self.is_done
        chunk = decoded(_decode_chunk, event)
        if chunk is None or not chunk.is_error:
            return False
        self.has_failed, self.is_done = True, False
        return True

    def _take_usage(self, block: bytes) -> bytes:
        if self._hides_usage:
            block = block.replace(b',"usage":null', b"")
        at = _find_usage(block, 0)
        while at >= 0:
            start, end = event_around(block, at)
            chunk = decoded(_decode_chunk, block[start:end])
            usage = read_usage(chunk.usage) if chunk else None
            at = end
            if usage is not None:
                self._meter.usage = usage
                if self._hides_usage and chunk is not None and not chunk.choices:
                    block = block[:start] + block[end:]
                    at = start
            at = _find_usage(block, at)
        return block


def _find_usage(block: bytes, start: int) -> int:
    """Return the index of a usage that is not null, with or without a space after the colon; -1 if there is none."""
    at = block.find(b'"usage":{', start)
    return at if at >= 0 else block.find(b'"usage": {', start)


def _has_content(choice: _Choice) -> bool:
    if choice.finish_reason is not None:
        return True
    delta = choice.delta or {}
    return any(name != "role" and bytes(value) not in _NOTHING for name, value in delta.items())

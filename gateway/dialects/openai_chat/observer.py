"""A stream of OpenAI's chat completions, watched as its bytes pass: its usage, its end, an error in it.

Nothing is decoded that need not be: inside a string of JSON every quote is escaped, so that the bytes `"usage"` can't be
part of a text.
"""

from typing import Final

import msgspec
from msgspec import Raw

from gateway.core.errors import ProtocolError, Unavailable
from gateway.core.exchange import Meter
from gateway.dialects.openai_chat.stream import DONE
from gateway.dialects.openai_chat.usage import Usage as _Usage
from gateway.dialects.openai_chat.usage import read_usage
from gateway.streaming.relay import EventKind
from gateway.streaming.sse import count_events, data_of, event_around, events

_NULL: Final = Raw(b"null")
_NOTHING: Final = (b"null", b'""', b"[]")


class _Choice(msgspec.Struct):
    delta: dict[str, Raw] | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Raw = _NULL

    @property
    def is_error(self) -> bool:
        return bytes(self.error) != b"null"


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class ChatStream:
    """Watches one stream pass: notes its usage and its end, strips what the client did not ask for."""

    __slots__ = ("_hides_usage", "_meter", "_unfinished", "has_failed", "is_done")

    def __init__(self, meter: Meter, *, hides_usage: bool, choices: int) -> None:
        self._meter = meter
        self._hides_usage = hides_usage
        self.is_done = False  # [DONE] has passed
        self._unfinished = choices  # so many finish_reasons have yet to pass
        self.has_failed = False  # the provider has reported an error in the stream

    def kind(self, event: bytes) -> EventKind:
        """Say whether an event holds content, comes before it, or ends the stream.

        Raises `ProtocolError` where it is no chunk, `Unavailable` where it reports an error.
        """
        data = data_of(event)
        if data is None or not data.strip():
            return "prelude"
        if data.strip() == b"[DONE]":
            return "end"
        try:
            chunk = _decode_chunk(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ProtocolError("the provider's stream holds something that is no chat completion chunk") from None
        if chunk.is_error:
            raise Unavailable("the provider reported an error in its stream")
        return "content" if any(map(_has_content, chunk.choices or ())) else "prelude"

    def pass_on(self, block: bytes) -> bytes:
        """Look at a block of whole events; give what of it the client shall have. Nothing follows `[DONE]` or an error."""
        if self.is_done or self.has_failed:
            return b""
        meter = self._meter
        meter.events += count_events(block)
        meter.bytes_out += len(block)
        if meter.events >= meter.sample_at:
            meter.sample(block)
        if b'"usage"' in block:
            block = self._take_usage(block)
        if self._unfinished > 0:
            self._unfinished -= block.count(b'"finish_reason":"') + block.count(b'"finish_reason": "')
        if b"[DONE]" in block and (end := _behind_done(block)):
            self.is_done, block = True, block[:end]
        if b'"error"' in block:
            block = self._until_error(block)
        return block

    def closing(self) -> bytes | None:
        """Give what is missing at the end of a stream: b"" for nothing, None where it broke off."""
        if self.is_done or self.has_failed:
            return b""
        return None if self._unfinished > 0 else DONE

    def _take_usage(self, block: bytes) -> bytes:
        if self._hides_usage:
            block = block.replace(b',"usage":null', b"")
        at = _find_usage(block, 0)
        while at >= 0:
            start, end = event_around(block, at)
            chunk = self._decode(block[start:end])
            usage = read_usage(chunk.usage) if chunk else None
            at = end
            if usage is not None:
                self._meter.usage = usage
                if self._hides_usage and chunk is not None and not chunk.choices:
                    block = block[:start] + block[end:]
                    at = start
            at = _find_usage(block, at)
        return block

    def _until_error(self, block: bytes) -> bytes:
        """Give a block up to the error in it, or the whole."""
        end = 0
        for event in events(block):
            end += len(event)
            chunk = self._decode(event) if b'"error"' in event else None
            if chunk is not None and chunk.is_error:
                self.has_failed, self.is_done = True, False
                return block[:end]
        return block

    @staticmethod
    def _decode(event: bytes) -> _Chunk | None:
        try:
            return _decode_chunk(data_of(event) or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None


def _behind_done(block: bytes) -> int:
    """Give the index behind the event `[DONE]`, 0 where there is none: inside a text there is no line end before it."""
    at = block.find(b"[DONE]")
    while at >= 0:
        line = max(block.rfind(b"\n", 0, at), block.rfind(b"\r", 0, at)) + 1
        if block[line:at] in (b"data: ", b"data:") and block[at + 6 : at + 7] in (b"\n", b"\r"):
            return event_around(block, at)[1]
        at = block.find(b"[DONE]", at + 6)
    return 0


def _find_usage(block: bytes, start: int) -> int:
    """Give where a usage that is not null stands, in either of the two ways in which JSON is written; -1 for nowhere."""
    at = block.find(b'"usage":{', start)
    return at if at >= 0 else block.find(b'"usage": {', start)


def _has_content(choice: _Choice) -> bool:
    if choice.finish_reason is not None:
        return True
    delta = choice.delta or {}
    return any(name != "role" and bytes(value) not in _NOTHING for name, value in delta.items())

"""A stream of OpenAI's chat completions that passes unchanged: its usage, its end, an error in it."""

import re
from typing import Final

import msgspec
from msgspec import Raw

from gateway.core.conversation import Failure
from gateway.core.exchange import Meter
from gateway.dialects.openai_chat.encoder import DONE, encode_failure
from gateway.dialects.openai_chat.usage import Usage, read_usage
from gateway.dialects.stop_reasons import STOPS, given_reason
from gateway.dialects.stream_observer import StreamObserver, decoded
from gateway.streaming.relay import EventKind
from gateway.streaming.sse import event_around, events

_NOTHING: Final = (b"null", b'""', b"[]", b"{}")
_USAGE: Final = b'"usage"'
_FINISHES: Final = (b'"finish_reason":"', b'"finish_reason": "', b'"finish_reason" ')  # the ways to write JSON
_DONE: Final = b"[DONE]"
_TORN: Final = (b'"delta"', b'"text"')  # in what is left of a choice, so that the reason before it was too early
_ERROR: Final = b"error"  # as a member, or as the name of an event
_NO_REASONS: Final = (b'"finish_reason":null', b'"finish_reason": null')
_DONE_LINE: Final = re.compile(rb"(?:^|[\r\n])data: ?\[DONE\] *[\r\n]")  # inside a text no line end precedes it


class _Choice(msgspec.Struct):
    delta: dict[str, Raw] | None = None
    text: str | None = None  # of a completion
    finish_reason: str | None = None
    index: int | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: Usage | None = None


class _Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None


class _Document(msgspec.Struct):
    error: _Error | str | None = None


_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_decode_document = msgspec.json.Decoder(_Document).decode


class ChatStreamObserver(StreamObserver):
    """Observes one stream of `choices` answers side by side.

    With `hides_usage` the client did not ask for the usage event: its tokens are noted, and the event is not forwarded.
    """

    __slots__ = ("_hides_usage",)

    EVENT = "chat completion chunk"
    MARKS = (_USAGE, _DONE, _ERROR)
    ENDS_WITH_BODY = True

    def __init__(self, meter: Meter, *, hides_usage: bool, choices: int) -> None:
        super().__init__(meter, hides_usage=hides_usage, choices=choices)
        self._hides_usage = hides_usage
        self._no_reason = _NO_REASONS[0]

    def closing(self, rest: bytes = b"") -> bytes | None:
        closing = super().closing(rest)
        if closing is None or self.is_done or self.has_failed:
            return closing
        return None if any(map(rest.__contains__, _TORN)) else DONE

    def _kind_of(self, data: bytes) -> EventKind:
        if data == _DONE:
            return "end"
        chunk = _decode_chunk(data)
        if _NO_REASONS[1] in data:
            self._no_reason = _NO_REASONS[1]
        kind: EventKind = "prelude"
        for choice in chunk.choices or ():
            reason = given_reason(choice.finish_reason)
            if reason in STOPS or self._has_content(choice):
                return "content"
            if reason:
                raise self._unknown_reason(reason)
        return kind

    def _has_content(self, choice: _Choice) -> bool:
        delta = choice.delta or {}
        return any(name != "role" and bytes(value) not in _NOTHING for name, value in delta.items())

    def _at_mark(self, mark: bytes, block: bytes) -> bytes:
        if mark is _USAGE:
            return self._take_usage(block)
        return self._until(mark, block)

    def _seek_reason(self, block: bytes) -> None:
        if any(block.find(mark) >= 0 for mark in _FINISHES):
            self._is_reviewing = True
            self._review(block)

    def _review(self, block: bytes) -> None:
        for event in events(block):
            chunk = decoded(_decode_chunk, event)
            if chunk is None:
                if _DONE_LINE.search(event):
                    return
                continue
            for choice in chunk.choices or ():
                self._note(choice.index or 0, choice.finish_reason, has_content=self._has_content(choice))

    def _ends_with(self, event: bytes, mark: bytes) -> bool:
        if mark is _DONE:
            self.is_done = _DONE_LINE.search(event) is not None
            return self.is_done
        return (b'"error"' in event or b"event:" in event) and self._fails_with(event)

    def _is_readable(self, event: bytes) -> bool:
        """Return whether an event has a member `error` of the usual shape, which the official clients look for."""
        document = decoded(_decode_document, event)
        return document is not None and bool(document.error)

    def _encode_failure(self, failure: Failure) -> bytes:
        return encode_failure(failure)

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

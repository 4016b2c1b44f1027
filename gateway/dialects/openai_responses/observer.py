"""A stream of OpenAI's responses that passes unchanged: its usage and its end, which are one event."""

from typing import Final

import msgspec
from msgspec import Raw

from gateway.core.conversation import Failure
from gateway.core.exchange import Meter
from gateway.dialects.openai_responses.answer import Document
from gateway.dialects.openai_responses.errors import encode_failure
from gateway.dialects.openai_responses.usage import read_usage
from gateway.dialects.stream_observer import NAMED_ERROR, StreamObserver, decoded
from gateway.streaming.relay import EventKind
from gateway.streaming.sse import events

_PRELUDE: Final = frozenset(
    (
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.reasoning_summary_part.added",
    )
)
"""Events before the first content. All others count as content: after the call of a tool that the provider runs, the tool has run
and must not run again at another endpoint."""

_FAILED: Final = "response.failed"
_ENDS: Final = {"response.completed": "stop", "response.incomplete": "length"}  # and the reason where none is given
_END_MARKS: Final = tuple(f'"{name}"'.encode() for name in _ENDS)


class _Event(msgspec.Struct):
    type: str
    delta: Raw = Raw(b"")
    response: Document | None = None


class _Named(msgspec.Struct):
    type: str


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_named = msgspec.json.Decoder(_Named).decode


class ResponseStreamObserver(StreamObserver):
    """Observes one stream. Usage is part of every answer and there is one answer, whatever the client asks for.

    OpenAI reports an error twice, as `error` and as `response.failed`, and some clients read only the second. So an `error` at
    the end of a block is held back until the block after it, or the end of the body.
    """

    __slots__ = ("_held_error",)

    EVENT = "event of a response"
    MARKS = (*_END_MARKS, b'"response.failed"', b'"error"', NAMED_ERROR)

    def __init__(self, meter: Meter, *, hides_usage: bool, choices: int) -> None:
        super().__init__(meter, hides_usage=hides_usage, choices=choices)
        self._held_error = b""

    def closing(self, rest: bytes = b"") -> bytes | None:
        if self._held_error:
            return self._after_end(b"")
        return super().closing(rest)

    def _kind_of(self, data: bytes) -> EventKind:
        if data == b"[DONE]":
            return "prelude"
        event = _decode_event(data)
        if event.type in ("error", _FAILED):
            return "prelude"  # then it is read as an error
        if event.type in _ENDS:
            self._has_begun = True
            self._check_end(event)
            return "end"
        is_prelude = event.type in _PRELUDE or not event.type.startswith("response.")
        return "prelude" if is_prelude or bytes(event.delta) == b'""' else "content"

    def _check_end(self, event: _Event) -> None:
        """Raise the error of a stream that has nothing but an end that is none."""
        response = event.response
        if response is not None and response.status in ("failed", "cancelled"):
            raise self._unknown_reason(response.status)

    def _ends_with(self, event: bytes, mark: bytes) -> bool:
        if mark not in _END_MARKS:
            if not self._fails_with(event):
                return False
            failed = decoded(_decode_event, event)
            if failed is not None and failed.response is not None:
                self._meter.usage = read_usage(failed.response.usage) or self._meter.usage
            return True
        found = decoded(_decode_event, event)
        if found is None or found.type != mark[1:-1].decode():
            return False
        self.is_done = True
        reason, response = _ENDS[found.type], found.response
        if response is not None:
            self._meter.usage = read_usage(response.usage) or self._meter.usage
            if response.status in ("failed", "cancelled"):
                reason = response.status
            elif response.incomplete_details is not None and response.incomplete_details.reason:
                reason = response.incomplete_details.reason
        self._note(0, reason, has_content=False)
        return True

    def _last(self, event: bytes, rest: bytes) -> bytes:
        last = super()._last(event, rest)
        if not self.has_failed or _type_of(event) == _FAILED:
            return last
        if rest:
            return last + _failed_in(rest)
        self.has_failed, self.is_done, self._held_error = False, True, last
        return b""

    def _after_end(self, block: bytes) -> bytes:
        if not self._held_error:
            return b""
        self.has_failed, self.is_done = True, False
        error, self._held_error = self._held_error, b""
        return error + _failed_in(block)

    def _is_readable(self, event: bytes) -> bool:
        return _type_of(event) in ("error", _FAILED)

    def _encode_failure(self, failure: Failure) -> bytes:
        return encode_failure(failure)


def _type_of(event: bytes) -> str | None:
    found = decoded(_decode_named, event)
    return None if found is None else found.type


def _failed_in(block: bytes) -> bytes:
    """Return the failed response in a block; b"" if there is none."""
    return next((event for event in events(block) if _type_of(event) == _FAILED), b"")

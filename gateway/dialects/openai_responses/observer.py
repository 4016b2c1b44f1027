"""A stream of OpenAI's responses that passes unchanged: its usage and its end, which are one event."""

from typing import Final

import msgspec
from msgspec import Raw

from gateway.core.errors import Unavailable
from gateway.dialects.openai_responses.answer import Document
from gateway.dialects.openai_responses.usage import read_usage
from gateway.dialects.stream_observer import StreamObserver, decoded
from gateway.streaming.relay import EventKind

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

_ENDS: Final = ("response.completed", "response.incomplete")
_FAILURES: Final = ("response.failed", "error")


class _Event(msgspec.Struct):
    type: str
    delta: Raw = Raw(b"")
    response: Document | None = None


_decode_event = msgspec.json.Decoder(_Event).decode


class ResponseStreamObserver(StreamObserver):
    """Observes one stream. Usage is part of every answer and there is one answer, whatever the client asks for."""

    __slots__ = ()

    EVENT = "event of a response"
    MARKS = tuple(f'"{name}"'.encode() for name in (*_ENDS, *_FAILURES))

    def _kind_of(self, data: bytes) -> EventKind:
        if data == b"[DONE]":
            return "prelude"
        event = _decode_event(data)
        if event.type in _FAILURES:
            raise Unavailable("the provider reported an error in its stream")
        if event.type in _ENDS:
            return "end"
        is_prelude = event.type in _PRELUDE or not event.type.startswith("response.")
        return "prelude" if is_prelude or bytes(event.delta) == b'""' else "content"

    def _ends_with(self, event: bytes, mark: bytes) -> bool:
        found = decoded(_decode_event, event)
        if found is None or found.type != mark[1:-1].decode():
            return False
        self.has_failed = found.type in _FAILURES
        self.is_done = not self.has_failed
        if found.response is not None:
            self._meter.usage = read_usage(found.response.usage) or self._meter.usage
        return True

"""A stream of OpenAI's completions that passes unchanged."""

import msgspec
from msgspec import Raw

from gateway.core.errors import Unavailable
from gateway.dialects.openai_chat.observer import ChatStreamObserver
from gateway.streaming.relay import EventKind


class _Choice(msgspec.Struct):
    text: str | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    error: Raw = Raw(b"null")


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class CompletionStreamObserver(ChatStreamObserver):
    """Observes one stream; only the place of its content differs from a stream of chat completions."""

    __slots__ = ()

    EVENT = "completion"

    def _kind_of(self, data: bytes) -> EventKind:
        if data == b"[DONE]":
            return "end"
        chunk = _decode_chunk(data)
        if bytes(chunk.error) != b"null":
            raise Unavailable("the provider reported an error in its stream")
        is_content = any(choice.text or choice.finish_reason is not None for choice in chunk.choices or ())
        return "content" if is_content else "prelude"

"""A request and what its answer used, in words that no dialect owns."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

MOST_TOKENS: Final = 10**9  # of one class in one answer; a sum of many stays a number that every reader can hold

# Structs, not dataclasses: they mean the same, and one is made for every request in a tenth of the time.


class ChatRequest(msgspec.Struct, frozen=True):
    """One request as the client sent it: the bytes, and the few facts that routing and limits read.

    `raw` is never changed; what must differ upstream is spliced in when it is sent. Unknown fields live in `raw` alone.
    """

    raw: bytes
    path: str  # "/v1/chat/completions"
    model: str
    stream: bool = False
    has_stream: bool = False
    max_tokens: int | None = None  # None: not sent
    temperature: float | None = None
    n: int = 1
    tools: int = 0  # how many are offered
    images: int = 0  # how many image parts the messages hold
    tokens: int = 0  # of the prompt, estimated
    wants_usage: bool = False  # the client asked for the usage event of a stream
    has_stream_options: bool = False
    fields: Mapping[str, Any] = {}  # the members of `raw` as they stand


class Usage(msgspec.Struct, frozen=True):
    """Tokens in disjoint classes. `is_estimated`: counted by us, not reported.

    `input` excludes what was read from or written to the provider's cache, and sound; `output` excludes thoughts and sound.
    """

    input: int = 0
    cached_input: int = 0
    cache_write: int = 0  # but for the next
    output: int = 0
    is_estimated: bool = False
    cache_write_1h: int = 0  # kept for an hour, which is dearer
    reasoning: int = 0
    audio_in: int = 0
    audio_out: int = 0

    @property
    def total_input(self) -> int:
        return self.input + self.cached_input + self.cache_write + self.cache_write_1h + self.audio_in

    @property
    def total_output(self) -> int:
        return self.output + self.reasoning + self.audio_out


def bounded_tokens(number: int | None) -> int:
    """Give a count of tokens as a provider told it: none for nothing or less, and never more than an answer can have."""
    return 0 if number is None else min(max(0, number), MOST_TOKENS)

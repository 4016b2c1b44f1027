"""Token classes: what an answer used, in disjoint classes, and the class whose price stands in where one has no own."""

from dataclasses import dataclass
from typing import Final

import msgspec

MOST_TOKENS: Final = 10**9  # of one class in one answer; a sum of many stays a number that every reader can hold


@dataclass(frozen=True, slots=True)
class TokenClass:
    """One kind of token that a provider may charge for. `name` is the field of `Usage`; `price` the key in gateway.yaml."""

    name: str
    price: str
    falls_back_to: str | None  # the class whose price is charged where this one has none; None: a price is required
    meaning: str  # of the price: "per million tokens …"


TOKEN_CLASSES: Final = (
    TokenClass("input", "input", None, "of the prompt"),
    TokenClass("cached_input", "cached_input", "input", "of the prompt that the provider had cached"),
    TokenClass(
        "cache_write",
        "cache_write",
        "input",
        "that the provider put into its cache, for 5 minutes where it distinguishes",
    ),
    TokenClass("cache_write_1h", "cache_write_1h", "cache_write", "that the provider put into its cache for an hour"),
    TokenClass("audio_in", "audio_input", "input", "of sound in the prompt"),
    TokenClass("output", "output", None, "of the answer"),
    TokenClass("reasoning", "reasoning", "output", "of reasoning"),
    TokenClass("audio_out", "audio_output", "output", "of sound in the answer"),
)
"""Every class, its fallback before it. A request has a price of its own beside them (`PriceSpec.request`)."""


class Usage(msgspec.Struct, frozen=True):
    """Tokens in disjoint classes, those of `TOKEN_CLASSES`. `is_estimated`: counted by the gateway, not reported.

    A struct, not a dataclass: both mean the same, and a struct is made in a tenth of the time.
    """

    input: int = 0
    cached_input: int = 0
    cache_write: int = 0
    output: int = 0
    is_estimated: bool = False
    cache_write_1h: int = 0
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
    """Return a provider's count of tokens within bounds: 0 for a missing or negative one, `MOST_TOKENS` at most."""
    return 0 if number is None else min(max(0, number), MOST_TOKENS)

"""What tokens cost. Money is counted in integer picodollars (10^-12 USD), so that sums are exact."""

from gateway.config.spec import PriceSpec
from gateway.core.usage import Usage

_PICODOLLARS = 10**12


class Price:
    """The price of one model, in picodollars per token of each class; a class without its own costs what input does."""

    __slots__ = ("cache_write", "cached_input", "input", "output")

    def __init__(self, spec: PriceSpec) -> None:
        self.input = spec.input
        self.cached_input = spec.input if spec.cached_input is None else spec.cached_input
        self.cache_write = spec.input if spec.cache_write is None else spec.cache_write
        self.output = spec.output

    def cost(self, usage: Usage) -> int:
        """Give what `usage` costs, in picodollars."""
        return (
            (usage.input + usage.audio_in) * self.input
            + usage.cached_input * self.cached_input
            + (usage.cache_write + usage.cache_write_1h) * self.cache_write
            + usage.total_output * self.output
        )


def dollars(picodollars: int) -> str:
    """Write an amount in USD exactly, as a plain decimal without trailing zeros: `0.000123`, `12.5`, `0`."""
    whole, rest = divmod(abs(picodollars), _PICODOLLARS)
    text = f"{whole}.{rest:012d}".rstrip("0").rstrip(".")
    return f"-{text}" if picodollars < 0 else text

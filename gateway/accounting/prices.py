"""The price of a model in force: what a token of each class costs, with the fallbacks of `TOKEN_CLASSES` put in."""

from collections.abc import Mapping
from operator import attrgetter, mul
from typing import Final

from gateway.config.spec import PriceSpec
from gateway.core.usage import TOKEN_CLASSES, Usage

_counts: Final = attrgetter(*(one.name for one in TOKEN_CLASSES))


class Price:
    """The price of one model: picodollars per token of each class, fallbacks put in, and per request."""

    __slots__ = ("_per_request", "_rates", "rates")

    def __init__(self, spec: PriceSpec) -> None:
        rates: dict[str, int] = {}
        for one in TOKEN_CLASSES:  # a fallback stands before the class that needs it
            own: int | None = getattr(spec, one.price)
            rates[one.name] = rates[one.falls_back_to] if own is None and one.falls_back_to is not None else own or 0
        self.rates: Mapping[str, int] = rates  # by class
        self._rates = tuple(rates.values())
        self._per_request = spec.request

    def cost(self, usage: Usage) -> int:
        """Return what one request with `usage` costs, in picodollars."""
        tokens: int = sum(map(mul, _counts(usage), self._rates))
        return tokens + self._per_request

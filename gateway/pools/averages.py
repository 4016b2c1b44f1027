"""What is remembered of an endpoint's times and failures: means that forget, and the last few for a quantile."""

from collections import deque
from math import exp
from typing import Final

DECAY_S: Final = 30.0  # after so long an observation weighs 1/e of a new one
WINDOW: Final = 128  # observations that a quantile is taken from
REFRESH_EVERY: Final = 16  # observations after which it is taken anew


class Average:
    """A mean in which an observation's weight falls with its age: exponential decay over `DECAY_S`, exact in between.

    `value` is 0.0 and `weight` 0.0 without observations; `weight` is how many recent ones it rests on.
    """

    __slots__ = ("_at", "_sum", "weight")

    def __init__(self) -> None:
        self._sum = 0.0
        self.weight = 0.0
        self._at = 0.0

    @property
    def value(self) -> float:
        return self._sum / self.weight if self.weight else 0.0

    def observe(self, amount: float, now: float) -> None:
        """Take one observation; `now` in monotonic seconds."""
        kept = exp((self._at - now) / DECAY_S)
        self._at = now
        self._sum = self._sum * kept + amount
        self.weight = self.weight * kept + 1.0

    def evidence(self, now: float) -> float:
        """Give how many observations it rests on, as of `now`."""
        return self.weight * exp((self._at - now) / DECAY_S)


class RecentValues:
    """The last `WINDOW` observations; `quantile` sorts them every `REFRESH_EVERY` observations only."""

    __slots__ = ("_last", "_quantiles", "_seen")

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=WINDOW)
        self._seen = 0
        self._quantiles: dict[float, float] = {}

    def observe(self, amount: float) -> None:
        """Take one observation."""
        self._last.append(amount)
        self._seen += 1
        if self._seen % REFRESH_EVERY == 0:
            self._quantiles.clear()

    def quantile(self, share: float) -> float | None:
        """Give what `share` of the last observations were below; None while there are too few to tell."""
        if len(self._last) < REFRESH_EVERY:
            return None
        found = self._quantiles.get(share)
        if found is None:
            ranked = sorted(self._last)
            found = self._quantiles[share] = ranked[min(len(ranked) - 1, int(share * len(ranked)))]
        return found

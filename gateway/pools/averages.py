"""Statistics of an endpoint's times and failures: means with exponential decay, and a window of recent values for quantiles."""

from collections import deque
from math import exp
from typing import Final

DECAY_S: Final = 30.0  # at this age an observation weighs 1/e of a new one
WINDOW: Final = 128  # observations that a quantile is computed from
REFRESH_EVERY: Final = 16  # observations after which the quantiles are computed again


class Average:
    """A mean in which an observation's weight falls with its age: exponential decay over `DECAY_S`, exact at every moment.

    `weight` is the number of recent observations behind the mean, as of the last one. Without observations `value` and
    `weight` are 0.0.
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
        """Add one observation; `now` in monotonic seconds."""
        kept = exp((self._at - now) / DECAY_S)
        self._at = now
        self._sum = self._sum * kept + amount
        self.weight = self.weight * kept + 1.0

    def evidence(self, now: float) -> float:
        """Return the number of recent observations behind the mean, as of `now`."""
        return self.weight * exp((self._at - now) / DECAY_S)


class RecentValues:
    """The last `WINDOW` observations. `quantile` sorts them again only every `REFRESH_EVERY` observations."""

    __slots__ = ("_last", "_quantiles", "_seen")

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=WINDOW)
        self._seen = 0
        self._quantiles: dict[float, float] = {}

    def observe(self, amount: float) -> None:
        """Add one observation."""
        self._last.append(amount)
        self._seen += 1
        if self._seen % REFRESH_EVERY == 0:
            self._quantiles.clear()

    def quantile(self, share: float) -> float | None:
        """Return the value that `share` of the last observations were below; None with fewer than `REFRESH_EVERY` observations."""
        if len(self._last) < REFRESH_EVERY:
            return None
        found = self._quantiles.get(share)
        if found is None:
            ranked = sorted(self._last)
            found = self._quantiles[share] = ranked[min(len(ranked) - 1, int(share * len(ranked)))]
        return found

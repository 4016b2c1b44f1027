"""The only place that reads the time."""

import time
from typing import Protocol


class Clock(Protocol):
    """Time as the gateway sees it; passed in, so that tests can turn it by hand."""

    def monotonic(self) -> float:
        """Seconds that never run backwards: the source of every duration."""
        ...

    def wall(self) -> float:
        """Seconds since the Unix epoch: only to report, and for what users write as hours and days."""
        ...


class SystemClock:
    """The machine's own clocks."""

    monotonic = staticmethod(time.monotonic)
    wall = staticmethod(time.time)

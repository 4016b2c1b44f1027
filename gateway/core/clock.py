"""The only place that reads the time."""

import time
from typing import Protocol


class Clock(Protocol):
    """The source of time, passed in so that tests can control it."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards: the source of every duration."""
        ...

    def wall(self) -> float:
        """Return seconds since the Unix epoch: for reports only, and for hours and days in conditions."""
        ...


class SystemClock:
    """The clocks of the machine."""

    monotonic = staticmethod(time.monotonic)
    wall = staticmethod(time.time)

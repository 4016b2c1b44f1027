"""Measure how late the event loop wakes up. Code that blocks the loop for milliseconds shows here before it shows in latencies."""

import asyncio
from typing import Final

from gateway.observability.metrics import Metrics

TICK_S: Final = 0.25
WINDOW_TICKS: Final = 40  # ten seconds


class LoopLag:
    """Sets a timer every `TICK_S` and reports the worst delay of the current and the previous window of ten seconds.

    The constructor starts the timer, on the loop to watch; `close` stops it.
    """

    def __init__(self, metrics: Metrics, loop: asyncio.AbstractEventLoop) -> None:
        self._gauge = metrics.event_loop_lag_s
        self._loop = loop
        self._previous_worst_s = 0.0
        self._worst_s = 0.0
        self._last_s = self._second_last_s = 0.0
        self._ticks = 0
        self._due_at = loop.time() + TICK_S
        self._timer = loop.call_at(self._due_at, self._tick)

    def is_late(self, limit_s: float) -> bool:
        """Return whether the last two delays were both over `limit_s`; a single one does not count."""
        return self._last_s > limit_s and self._second_last_s > limit_s

    def close(self) -> None:
        """Stop the timer."""
        self._timer.cancel()

    def _tick(self) -> None:
        now = self._loop.time()
        self._last_s, self._second_last_s = now - self._due_at, self._last_s
        self._worst_s = max(self._worst_s, self._last_s)
        self._gauge.value = max(self._worst_s, self._previous_worst_s)
        self._ticks += 1
        if self._ticks % WINDOW_TICKS == 0:
            self._previous_worst_s, self._worst_s = self._worst_s, 0.0
        self._due_at = now + TICK_S
        self._timer = self._loop.call_at(self._due_at, self._tick)

"""How late the event loop wakes up: what blocks it for milliseconds shows here before it shows in anybody's latency."""

import asyncio
from typing import Final

from gateway.observability.metrics import Metrics

TICK_S: Final = 0.25
WINDOW_TICKS: Final = 40  # ten seconds


class LoopLag:
    """Asks to be woken every `TICK_S`, and shows the worst delay of this window of ten seconds and the one before it.

    Started by being made, on the loop that it watches; `close` ends it.
    """

    def __init__(self, metrics: Metrics, loop: asyncio.AbstractEventLoop) -> None:
        self._gauge = metrics.event_loop_lag_s
        self._loop = loop
        self._before_s = 0.0
        self._worst_s = 0.0
        self._last_s = self._last_but_one_s = 0.0
        self._ticks = 0
        self._due_at = loop.time() + TICK_S
        self._timer = loop.call_at(self._due_at, self._tick)

    def is_late(self, limit_s: float) -> bool:
        """Whether the loop is late now: its last two delays were both over `limit_s`, so that one hiccup is none."""
        return self._last_s > limit_s and self._last_but_one_s > limit_s

    def close(self) -> None:
        """Stop watching."""
        self._timer.cancel()

    def _tick(self) -> None:
        now = self._loop.time()
        self._last_s, self._last_but_one_s = now - self._due_at, self._last_s
        self._worst_s = max(self._worst_s, self._last_s)
        self._gauge.value = max(self._worst_s, self._before_s)
        self._ticks += 1
        if self._ticks % WINDOW_TICKS == 0:
            self._before_s, self._worst_s = self._worst_s, 0.0
        self._due_at = now + TICK_S
        self._timer = self._loop.call_at(self._due_at, self._tick)

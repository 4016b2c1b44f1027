"""The gauge of an event loop that wakes up late."""

import asyncio
from collections.abc import Callable

import pytest

from gateway.observability.lag import TICK_S, WINDOW_TICKS, LoopLag
from gateway.observability.metrics import Metrics


class HandLoop(asyncio.SelectorEventLoop):
    """A loop whose clock and one timer are moved by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 500.0
        self.timers: list[asyncio.TimerHandle] = []

    def time(self) -> float:
        return self.now

    def call_at(
        self, when: float, callback: Callable[..., object], *args: object, context: object = None
    ) -> asyncio.TimerHandle:
        self.timers.append(asyncio.TimerHandle(when, callback, args, self))
        return self.timers[-1]

    def wake(self, late_s: float = 0.0) -> None:
        """Run the timer that waits, `late_s` after it was due."""
        timer = self.timers.pop()
        self.now = timer.when() + late_s
        timer._run()


@pytest.fixture
def loop() -> HandLoop:
    loop = HandLoop()
    loop.close()
    return loop


def test_the_worst_delay_is_shown(loop: HandLoop) -> None:
    metrics = Metrics()
    LoopLag(metrics, loop)
    for late_s in (0.01, 0.2, 0.0):
        loop.wake(late_s)
    assert metrics.event_loop_lag_s.value == pytest.approx(0.2)


def test_a_delay_does_not_count_again_for_the_next_tick(loop: HandLoop) -> None:
    LoopLag(Metrics(), loop)
    loop.wake(0.2)
    assert loop.timers[0].when() == pytest.approx(loop.now + TICK_S)


def test_a_delay_is_shown_for_a_window_and_forgotten_after_two(loop: HandLoop) -> None:
    metrics = Metrics()
    LoopLag(metrics, loop)
    loop.wake(0.2)
    for _ in range(WINDOW_TICKS):
        loop.wake()
    assert metrics.event_loop_lag_s.value == pytest.approx(0.2)
    for _ in range(WINDOW_TICKS):
        loop.wake()
    assert metrics.event_loop_lag_s.value == pytest.approx(0.0)


def test_one_hiccup_is_not_late(loop: HandLoop) -> None:
    lag = LoopLag(Metrics(), loop)
    assert not lag.is_late(0.0)
    loop.wake(3.0)
    assert not lag.is_late(2.0)


def test_two_delays_in_a_row_are_late_until_the_next_good_tick(loop: HandLoop) -> None:
    lag = LoopLag(Metrics(), loop)
    loop.wake(3.0)
    loop.wake(2.5)
    assert lag.is_late(2.0)
    assert not lag.is_late(2.5), "the limit itself is in time"
    loop.wake(0.0)
    assert not lag.is_late(2.0)
    loop.wake(3.0)
    assert not lag.is_late(2.0)


def test_close_ends_it(loop: HandLoop) -> None:
    lag = LoopLag(Metrics(), loop)
    lag.close()
    assert loop.timers[0].cancelled()

"""The clocks, in a time that jumps from timer to timer."""

import asyncio
from typing import Any

import pytest

from gateway.core.errors import ClientStalled, GatewayError, UpstreamTimeout
from gateway.core.faults import Fault
from gateway.resilience.timeouts import Timeouts
from gateway.streaming.timers import AttemptTimers
from tests.support.loops import in_virtual_time

NEVER = Timeouts(connect_s=None, first_token_s=None, answer_s=None, idle_s=None, total_s=None)


class Watched:
    """Timers, and the moments at which they called back."""

    def __init__(
        self, timeouts: Timeouts, *, is_stream: bool = True, total_s: float | None = None, write_s: float = 60.0
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self.errors: list[tuple[float, GatewayError]] = []
        self.signs: list[float] = []
        total_at = None if total_s is None else self._began + total_s
        self.timers = AttemptTimers(
            timeouts, is_stream=is_stream, total_at=total_at, write_timeout_s=write_s, expire=self._expire
        )

    def _expire(self, error: GatewayError) -> None:
        self.errors.append((self.now, error))

    def sign(self) -> None:
        self.signs.append(self.now)

    @property
    def now(self) -> float:
        return round(self._loop.time() - self._began, 3)

    @property
    def fired(self) -> list[tuple[float, str | None]]:
        return [(at, error.error_code) for at, error in self.errors]

    async def until(self, moment: float, *, event_every: float | None = None) -> None:
        """Let time pass; with `event_every` something comes from the provider so often."""
        while self.now < moment:
            await asyncio.sleep(min(event_every or moment, moment - self.now))
            if event_every is not None:
                self.timers.last_at = self._loop.time()


@pytest.mark.parametrize(
    ("is_stream", "timeouts", "total_s", "expected"),
    [
        (True, Timeouts(first_token_s=20, idle_s=1), 600, (20, "first_token_timeout")),
        (False, Timeouts(answer_s=30, first_token_s=1, idle_s=1), 600, (30, "answer_timeout")),
        (True, Timeouts(first_token_s=20), 5, (5, "total_timeout")),
        (False, Timeouts(answer_s=None), 5, (5, "total_timeout")),
    ],
)
@in_virtual_time
async def test_before_the_answer_the_first_answer_clock_and_the_total_run(
    is_stream: bool, timeouts: Timeouts, total_s: float, expected: tuple[float, str]
) -> None:
    watched = Watched(timeouts, is_stream=is_stream, total_s=total_s)
    await watched.until(700)
    assert watched.fired == [expected]


@pytest.mark.parametrize(
    ("timeouts", "total_s", "fault"),
    [
        (Timeouts(first_token_s=1), 600, Fault.FIRST_TOKEN),
        (Timeouts(answer_s=1), 600, Fault.ANSWER),
        (Timeouts(idle_s=1), 600, Fault.IDLE),
        (Timeouts(), 1, Fault.TOTAL),
    ],
)
@in_virtual_time
async def test_each_clock_is_a_fault_of_its_own(timeouts: Timeouts, total_s: float, fault: Fault) -> None:
    watched = Watched(timeouts, is_stream=fault is Fault.FIRST_TOKEN, total_s=total_s)
    if fault is Fault.IDLE:
        watched.timers.body_started()
    await watched.until(5)
    ((_, error),) = watched.errors
    assert isinstance(error, UpstreamTimeout) and error.fault is fault and error.http_status == 504


@in_virtual_time
async def test_from_the_first_answer_on_the_idle_clock_runs_from_the_last_byte() -> None:
    watched = Watched(Timeouts(first_token_s=20, idle_s=30))
    await watched.until(19)
    watched.timers.body_started()
    await watched.until(200, event_every=29)
    assert watched.fired == []
    await watched.until(300)
    assert watched.fired == [(230, "idle_timeout")]


@in_virtual_time
async def test_the_total_ends_a_stream_that_never_rests() -> None:
    watched = Watched(Timeouts(idle_s=30), total_s=100)
    watched.timers.body_started()
    await watched.until(99.9, event_every=0.5)
    assert watched.fired == []
    await watched.until(101)
    assert watched.fired == [(100, "total_timeout")]


@in_virtual_time
async def test_a_clock_that_is_off_never_fires() -> None:
    watched = Watched(NEVER)
    await watched.until(10**6)
    watched.timers.body_started()
    await watched.until(2 * 10**6)
    assert watched.fired == []


@pytest.mark.parametrize("idle_s", [None, 2, 10, 300])
@in_virtual_time
async def test_while_the_client_holds_things_up_the_write_timeout_runs_instead_of_the_idle_clock(
    idle_s: float | None,
) -> None:
    watched = Watched(Timeouts(first_token_s=None, idle_s=idle_s), write_s=60)
    watched.timers.body_started()
    await watched.until(1)
    watched.timers.client_paused()
    await watched.until(60.9)
    assert watched.fired == []
    await watched.until(200)
    assert watched.fired == [(61, "client_stalled")]
    assert isinstance(watched.errors[0][1], ClientStalled)


@in_virtual_time
async def test_when_the_client_takes_again_the_idle_clock_starts_anew() -> None:
    watched = Watched(Timeouts(idle_s=5), write_s=60)
    watched.timers.body_started()
    watched.timers.client_paused()
    await watched.until(50)
    watched.timers.client_resumed()
    await watched.until(54.9)
    assert watched.fired == []
    await watched.until(70)
    assert watched.fired == [(55, "idle_timeout")]


@in_virtual_time
async def test_a_second_stall_within_the_first_wins_no_time() -> None:
    watched = Watched(Timeouts(), write_s=10)
    watched.timers.body_started()
    watched.timers.client_paused()
    await watched.until(9)
    watched.timers.client_paused()
    await watched.until(30)
    assert watched.fired == [(10, "client_stalled")]


@in_virtual_time
async def test_nothing_is_called_after_the_end() -> None:
    watched = Watched(Timeouts(first_token_s=1, idle_s=1), total_s=2, write_s=1)
    watched.timers.start_keepalive(0.3, watched.sign)
    watched.timers.stop()
    watched.timers.body_started()
    watched.timers.client_paused()
    watched.timers.client_resumed()
    watched.timers.start_keepalive(0.5, watched.sign)
    await watched.until(10)
    assert (watched.fired, watched.signs) == ([], [])


@in_virtual_time
async def test_silence_is_told_from_the_last_byte_on_and_then_again_and_again() -> None:
    watched = Watched(NEVER)
    watched.timers.body_started()
    watched.timers.start_keepalive(15, watched.sign)
    await watched.until(14)
    watched.timers.last_at = asyncio.get_running_loop().time()
    await watched.until(61)
    assert watched.signs == [29, 44, 59]


@in_virtual_time
async def test_a_stream_that_speaks_often_enough_is_never_silent() -> None:
    watched = Watched(NEVER)
    watched.timers.body_started()
    watched.timers.start_keepalive(15, watched.sign)
    await watched.until(500, event_every=10)
    assert watched.signs == []


@in_virtual_time
async def test_an_event_moves_no_timer() -> None:
    """What an event costs is one assignment: the timer wakes by itself, and not once for each event."""
    watched = Watched(Timeouts(idle_s=30), total_s=10**6)
    loop = asyncio.get_running_loop()
    armed, call_at = [], loop.call_at

    def counting(when: float, callback: Any, *args: Any, **options: Any) -> asyncio.TimerHandle:
        if getattr(callback, "__self__", None) is watched.timers:
            armed.append(when)
        return call_at(when, callback, *args, **options)

    loop.call_at = counting  # type: ignore[method-assign]
    watched.timers.body_started()
    await watched.until(300, event_every=0.01)
    assert watched.fired == [] and len(armed) <= 300 / 29 + 2


@in_virtual_time
async def test_the_first_answer_is_not_waited_for_while_the_request_is_still_sent() -> None:
    for is_stream in (True, False):
        watched = Watched(Timeouts(None, 2.0, 2.0, 5.0, None), is_stream=is_stream)
        watched.timers.pause_first_answer()
        await asyncio.sleep(10)
        assert watched.errors == [] and watched.timers.idle_s == 5.0
        watched.timers.request_sent()
        await asyncio.sleep(10)
        assert [at for at, _ in watched.errors] == [12.0]


@in_virtual_time
async def test_an_answer_that_came_before_the_request_was_sent_has_its_idle_clock_alone() -> None:
    watched = Watched(Timeouts(None, 2.0, 2.0, 5.0, None), is_stream=False)
    watched.timers.pause_first_answer()
    watched.timers.body_started()
    watched.timers.request_sent()
    await asyncio.sleep(10)
    assert [at for at, _ in watched.errors] == [5.0]
    free = Watched(NEVER, is_stream=False)
    free.timers.pause_first_answer()
    free.timers.request_sent()
    await asyncio.sleep(10)
    assert free.errors == []

"""The breaker's table, row by row, and its odd case: results that come late."""

import asyncio

import pytest

from gateway.config.spec import BreakerSpec
from gateway.resilience.breaker import PROBE_WAIT_S, Breaker, BreakerState, Permit

SPEC = BreakerSpec(failures=5, recovery_s=30.0, successes=3)


class HandClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def breaker(clock: HandClock) -> Breaker:
    return Breaker(SPEC, clock)


def acquire(breaker: Breaker) -> Permit:
    permit = breaker.try_acquire()
    assert permit is not None
    return permit


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        acquire(breaker).fail()


def rest(breaker: Breaker, clock: HandClock) -> None:
    """Open `breaker` and wait until it may be probed."""
    fail(breaker, SPEC.failures)
    clock.now += SPEC.recovery_s


def test_new_breaker_is_closed_and_available(breaker: Breaker) -> None:
    assert breaker.state is BreakerState.CLOSED
    assert breaker.is_available
    assert breaker.retry_in_s() == 0.0


def test_one_failure_fewer_than_the_limit_leaves_it_closed(breaker: Breaker) -> None:
    fail(breaker, 4)
    assert breaker.state is BreakerState.CLOSED


def test_failures_in_a_row_open_it(breaker: Breaker) -> None:
    fail(breaker, 5)
    assert breaker.state is BreakerState.OPEN
    assert not breaker.is_available
    assert breaker.try_acquire() is None


def test_a_success_between_failures_starts_the_count_anew(breaker: Breaker) -> None:
    fail(breaker, 4)
    acquire(breaker).succeed()
    fail(breaker, 4)
    assert breaker.state is BreakerState.CLOSED


def test_an_abandoned_attempt_counts_neither_way(breaker: Breaker) -> None:
    fail(breaker, 4)
    acquire(breaker).abandon()
    assert breaker.state is BreakerState.CLOSED
    fail(breaker, 1)
    assert breaker.state is BreakerState.OPEN


def test_closed_breaker_lets_any_number_through_at_once(breaker: Breaker) -> None:
    assert all(breaker.try_acquire() is not None for _ in range(1000))


def test_open_breaker_says_how_long_to_wait(breaker: Breaker, clock: HandClock) -> None:
    fail(breaker, 5)
    clock.now += 12.0
    assert breaker.retry_in_s() == pytest.approx(18.0)


def test_open_breaker_stays_open_until_its_rest_is_over(breaker: Breaker, clock: HandClock) -> None:
    fail(breaker, 5)
    clock.now += 29.99
    assert breaker.try_acquire() is None
    clock.now += 0.01
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.retry_in_s() == 0.0


def test_rested_breaker_lets_one_probe_through_at_a_time(breaker: Breaker, clock: HandClock) -> None:
    rest(breaker, clock)
    probe = acquire(breaker)
    assert breaker.try_acquire() is None
    assert not breaker.is_available
    assert breaker.retry_in_s() == PROBE_WAIT_S
    probe.succeed()
    assert breaker.is_available


def test_successes_in_a_row_close_it(breaker: Breaker, clock: HandClock) -> None:
    rest(breaker, clock)
    for _ in range(2):
        acquire(breaker).succeed()
        assert breaker.state is BreakerState.HALF_OPEN
    acquire(breaker).succeed()
    assert breaker.state is BreakerState.CLOSED
    fail(breaker, 4)
    assert breaker.state is BreakerState.CLOSED


def test_a_failed_probe_opens_it_for_another_rest(breaker: Breaker, clock: HandClock) -> None:
    rest(breaker, clock)
    acquire(breaker).succeed()
    acquire(breaker).fail()
    assert breaker.state is BreakerState.OPEN
    assert breaker.retry_in_s() == pytest.approx(30.0)
    clock.now += 30.0
    for _ in range(2):
        acquire(breaker).succeed()
    assert breaker.state is BreakerState.HALF_OPEN


def test_an_abandoned_probe_gives_its_place_back_and_counts_for_nothing(breaker: Breaker, clock: HandClock) -> None:
    rest(breaker, clock)
    for _ in range(10):
        acquire(breaker).abandon()
    assert breaker.state is BreakerState.HALF_OPEN
    for _ in range(3):
        acquire(breaker).succeed()
    assert breaker.state is BreakerState.CLOSED


def test_a_late_success_does_not_close_an_open_breaker(breaker: Breaker) -> None:
    late = [acquire(breaker) for _ in range(3)]
    fail(breaker, 5)
    for permit in late:
        permit.succeed()
    assert breaker.state is BreakerState.OPEN


def test_a_late_failure_does_not_prolong_the_rest(breaker: Breaker, clock: HandClock) -> None:
    late = acquire(breaker)
    fail(breaker, 5)
    clock.now += 20.0
    late.fail()
    assert breaker.retry_in_s() == pytest.approx(10.0)


@pytest.mark.parametrize("end", ["succeed", "fail", "abandon"])
def test_a_late_result_leaves_a_running_probe_alone(breaker: Breaker, clock: HandClock, end: str) -> None:
    late = acquire(breaker)
    rest(breaker, clock)
    acquire(breaker)
    getattr(late, end)()
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.try_acquire() is None


@pytest.mark.parametrize("second", ["succeed", "fail", "abandon"])
def test_only_the_first_end_of_a_permit_counts(breaker: Breaker, clock: HandClock, second: str) -> None:
    rest(breaker, clock)
    probe = acquire(breaker)
    probe.succeed()
    acquire(breaker)
    getattr(probe, second)()
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.try_acquire() is None


def test_without_a_spec_it_never_opens(clock: HandClock) -> None:
    breaker = Breaker(None, clock)
    fail(breaker, 100)
    assert breaker.state is BreakerState.CLOSED


def test_a_new_spec_keeps_state_and_rest(breaker: Breaker, clock: HandClock) -> None:
    fail(breaker, 5)
    clock.now += 10.0
    breaker.reconfigure(BreakerSpec(failures=1, recovery_s=60.0, successes=1))
    assert breaker.state is BreakerState.OPEN
    assert breaker.retry_in_s() == pytest.approx(50.0)


def test_a_new_spec_keeps_the_count_of_failures(breaker: Breaker) -> None:
    fail(breaker, 3)
    breaker.reconfigure(BreakerSpec(failures=4))
    fail(breaker, 1)
    assert breaker.state is BreakerState.OPEN


def test_switching_it_off_closes_it_and_forgets_the_count(breaker: Breaker) -> None:
    fail(breaker, 5)
    breaker.reconfigure(None)
    assert breaker.state is BreakerState.CLOSED
    breaker.reconfigure(SPEC)
    fail(breaker, 4)
    assert breaker.state is BreakerState.CLOSED


def test_switching_it_off_while_closed_forgets_the_count(breaker: Breaker) -> None:
    fail(breaker, 4)
    breaker.reconfigure(None)
    breaker.reconfigure(SPEC)
    fail(breaker, 4)
    assert breaker.state is BreakerState.CLOSED


def test_states_have_names_for_people() -> None:
    assert [state.label for state in BreakerState] == ["closed", "open", "half_open"]


def test_word_of_a_sibling_opens_it_for_its_own_rest(breaker: Breaker, clock: HandClock) -> None:
    late = acquire(breaker)
    breaker.trip()
    late.succeed()
    assert (breaker.state, breaker.opened_by_sibling) == (BreakerState.OPEN, True)
    assert breaker.retry_in_s() == pytest.approx(30.0)


def test_word_of_a_sibling_opens_it_for_what_is_left_and_never_for_longer_than_its_own_rest(clock: HandClock) -> None:
    for told_s, rests_s in ((12.0, 12.0), (1e9, 30.0), (0.0, 0.0)):
        breaker = Breaker(SPEC, clock)
        breaker.trip(told_s)
        assert breaker.retry_in_s() == pytest.approx(rests_s)


def test_word_of_a_sibling_prolongs_no_rest(breaker: Breaker, clock: HandClock) -> None:
    fail(breaker, 5)
    clock.now += 20.0
    breaker.trip(30.0)
    assert breaker.retry_in_s() == pytest.approx(10.0)
    assert not breaker.opened_by_sibling


def test_word_of_a_failed_probe_elsewhere_saves_one_here(breaker: Breaker, clock: HandClock) -> None:
    rest(breaker, clock)
    breaker.trip(30.0)
    assert breaker.try_acquire() is None
    clock.now += 30.0
    probe = acquire(breaker)
    breaker.trip(30.0)
    probe.succeed()
    assert breaker.state is BreakerState.OPEN


def test_a_rest_of_its_own_follows_the_spec_again(breaker: Breaker, clock: HandClock) -> None:
    breaker.trip(1.0)
    clock.now += 1.0
    acquire(breaker).fail()
    assert breaker.retry_in_s() == pytest.approx(30.0)
    assert (breaker.opened_by_sibling, breaker.opened_after) == (False, 1)


def test_switched_off_it_hears_of_no_sibling(clock: HandClock) -> None:
    breaker = Breaker(None, clock)
    breaker.trip(30.0)
    assert breaker.is_available


def test_changes_are_told_once_each_when_they_hold(clock: HandClock) -> None:
    changes: list[tuple[BreakerState, BreakerState, bool]] = []
    breaker = Breaker(SPEC, clock, lambda before, after: changes.append((before, after, breaker.state is after)))
    closed, is_open, half_open = BreakerState
    rest(breaker, clock)
    assert breaker.opened_after == 5
    for _ in range(3):
        acquire(breaker).succeed()
    breaker.reconfigure(None)
    breaker.reconfigure(SPEC)
    breaker.trip()
    breaker.trip()
    breaker.reconfigure(None)
    assert changes == [
        (closed, is_open, True),
        (is_open, half_open, True),
        (half_open, closed, True),
        (closed, is_open, True),
        (is_open, closed, True),
    ]


async def test_of_a_hundred_at_once_exactly_one_probes_and_a_cancelled_one_gives_its_place_back(
    breaker: Breaker, clock: HandClock
) -> None:
    rest(breaker, clock)
    answer = asyncio.Event()
    running: list[int] = []
    refused: list[int] = []

    async def request(number: int) -> None:
        permit = breaker.try_acquire()
        if permit is None:
            refused.append(number)
            return
        running.append(number)
        try:
            await answer.wait()
            permit.succeed()
        finally:
            running.remove(number)
            permit.abandon()

    async with asyncio.TaskGroup() as group:
        first = [group.create_task(request(number)) for number in range(100)]
        await asyncio.sleep(0)
        assert (running, len(refused)) == ([0], 99)
        first[0].cancel()
        await asyncio.sleep(0)
        assert (running, breaker.is_available) == ([], True)
        for number in range(100, 200):
            group.create_task(request(number))
        await asyncio.sleep(0)
        assert (running, len(refused)) == ([100], 198)
        answer.set()
    assert breaker.state is BreakerState.HALF_OPEN  # the one success counted, the cancelled probe did not
    assert breaker.is_available


def test_a_half_open_breaker_counts_the_first_content_of_a_stream(breaker: Breaker, clock: HandClock) -> None:
    """Three streams that go on close it at their third first content; none of them is waited for."""
    rest(breaker, clock)
    streams = [acquire(breaker)]
    assert not breaker.is_available
    for _ in range(2):
        streams[-1].answered()
        assert breaker.state is BreakerState.HALF_OPEN
        streams.append(acquire(breaker))
        assert not breaker.is_available
    streams[-1].answered()
    assert breaker.state is BreakerState.CLOSED
    for stream in streams:
        stream.succeed()
    assert breaker.state is BreakerState.CLOSED


@pytest.mark.parametrize("end", ["succeed", "abandon", "answered"])
def test_a_stream_that_was_counted_is_not_counted_again_and_frees_no_other_probe(
    breaker: Breaker, clock: HandClock, end: str
) -> None:
    rest(breaker, clock)
    stream = acquire(breaker)
    stream.answered()
    probe = acquire(breaker)
    getattr(stream, end)()
    assert not breaker.is_available
    probe.succeed()
    assert breaker.state is BreakerState.HALF_OPEN


def test_a_stream_that_breaks_off_after_its_first_content_opens_a_half_open_breaker(
    breaker: Breaker, clock: HandClock
) -> None:
    rest(breaker, clock)
    stream = acquire(breaker)
    stream.answered()
    stream.fail()
    assert breaker.state is BreakerState.OPEN


def test_streams_that_all_break_off_after_their_first_content_open_a_closed_breaker(breaker: Breaker) -> None:
    for _ in range(SPEC.failures):
        stream = acquire(breaker)
        stream.answered()
        stream.fail()
    assert breaker.state is BreakerState.OPEN


def test_the_stream_that_closed_it_counts_as_one_of_the_closed_state(clock: HandClock) -> None:
    breaker = Breaker(BreakerSpec(failures=1, recovery_s=30.0, successes=1), clock)
    acquire(breaker).fail()
    clock.now += 30
    stream = acquire(breaker)
    stream.answered()
    assert breaker.state is BreakerState.CLOSED
    stream.fail()
    assert breaker.state is BreakerState.OPEN

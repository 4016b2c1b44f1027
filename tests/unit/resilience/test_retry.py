"""Retries: their pauses, what becomes of a token of the budget, which requests wait for one, and how many hedges there may be."""

import asyncio
import random

import pytest

from gateway.config.spec import RetrySpec
from gateway.resilience.retry import HOPELESS, MOST, RESERVE, HedgeBudget, RetryBudget, RetryToken, backoff_pause_s
from tests.support.loops import in_virtual_time

SPEC = RetrySpec(backoff_s=0.5, backoff_cap_s=3.0)


def drained(left: int = 0) -> tuple[RetryBudget, list[RetryToken]]:
    """Return a budget with `left` tokens, and the tokens that were taken."""
    budget = RetryBudget()
    taken = [budget.try_take() for _ in range(int(RESERVE) - left)]
    assert None not in taken
    return budget, [token for token in taken if token is not None]


def rest(budget: RetryBudget) -> int:
    """Take what is left; gives how much it was."""
    count = 0
    while budget.try_take() is not None:
        count += 1
    return count


def test_there_is_a_reserve_at_first_and_no_more() -> None:
    assert rest(RetryBudget()) == RESERVE


def test_requests_add_their_share_up_to_the_reserve() -> None:
    budget, _ = drained()
    for _ in range(4):
        budget.note_request(0.2)
    assert budget.try_take() is None
    budget.note_request(0.2)
    assert rest(budget) == 1
    for _ in range(1000):
        budget.note_request(0.2)
    assert rest(budget) == RESERVE


@pytest.mark.parametrize(("end", "left"), [("answered", 2), ("failed", 0), ("abandoned", 0), ("unused", 1)])
def test_how_a_retry_ends_decides_what_becomes_of_its_token(end: str, left: int) -> None:
    budget, (token, *_) = drained()
    getattr(token, end)()
    assert rest(budget) == left


@pytest.mark.parametrize("first", ["answered", "failed", "abandoned", "unused"])
def test_a_token_ends_once(first: str) -> None:
    budget, (token, *_) = drained()
    getattr(token, first)()
    left = rest(budget)
    for _ in range(left):
        token.unused()
    for end in (token.answered, token.failed, token.abandoned, token.unused):
        end()
    assert rest(budget) == 0


def earned(count: int) -> RetryBudget:
    """Return a budget that has earned tokens beyond its reserve."""
    budget = RetryBudget()
    for _ in range(count):
        token = budget.try_take()
        assert token is not None
        token.answered()
    return budget


def test_what_was_earned_is_kept_up_to_a_bound() -> None:
    assert rest(earned(50)) == RESERVE + 50
    assert rest(earned(2000)) == MOST


@pytest.mark.parametrize(("end", "left"), [("failed", RESERVE), ("abandoned", RESERVE + 49), ("unused", RESERVE + 50)])
def test_only_a_failure_makes_forget_what_was_earned(end: str, left: int) -> None:
    budget = earned(50)
    token = budget.try_take()
    assert token is not None
    getattr(token, end)()
    assert rest(budget) == left


# Waiting for one


@in_virtual_time
async def test_without_any_retry_on_its_way_nobody_waits() -> None:
    budget, tokens = drained()
    for token in tokens:
        token.failed()
    loop = asyncio.get_running_loop()
    since = loop.time()
    assert await budget.take(5.0) is None
    assert loop.time() == since


@in_virtual_time
async def test_who_waits_gets_what_an_answer_frees() -> None:
    budget, (token, *_) = drained()
    waiting = [asyncio.ensure_future(budget.take(5.0)) for _ in range(3)]
    await asyncio.sleep(1)
    token.answered()
    await asyncio.sleep(1)
    assert [task.done() for task in waiting] == [True, True, False]
    assert await waiting[2] is None
    assert all(task.result() is not None for task in waiting[:2])


@in_virtual_time
async def test_who_waits_stops_when_nothing_runs_any_more() -> None:
    budget, tokens = drained()
    waiting = asyncio.ensure_future(budget.take(100.0))
    await asyncio.sleep(1)
    for token in tokens:
        assert not waiting.done()
        token.failed()
    since = asyncio.get_running_loop().time()
    assert await waiting is None
    assert asyncio.get_running_loop().time() == since


async def lasting(budget: RetryBudget) -> asyncio.Task[RetryToken | None]:
    """Return a task that waits for a token, longer than any test takes."""
    waiting = asyncio.ensure_future(budget.take(1000.0))
    await asyncio.sleep(1)
    assert not waiting.done()
    return waiting


@in_virtual_time
async def test_in_an_outage_nobody_waits_though_there_is_always_a_retry_on_its_way() -> None:
    """Requests go on to add their share, so that retries go on to be made."""
    budget, running = drained()
    waiting = await lasting(budget)
    for _ in range(HOPELESS - 1):
        running.pop(0).failed()
        for _ in range(5):
            budget.note_request(0.2)
        token = budget.try_take()
        assert token is not None
        running.append(token)
    await asyncio.sleep(1)
    assert not waiting.done()
    running.pop(0).failed()
    assert await waiting is None
    since = asyncio.get_running_loop().time()
    assert await budget.take(1000.0) is None
    assert asyncio.get_running_loop().time() == since
    running.pop(0).answered()  # hope again: two may go, a third waits
    assert await budget.take(1000.0) is not None
    assert await budget.take(1000.0) is not None
    (await lasting(budget)).cancel()


@in_virtual_time
async def test_patience_ends_a_wait() -> None:
    budget, tokens = drained()
    since = asyncio.get_running_loop().time()
    assert await budget.take(3.0) is None
    assert asyncio.get_running_loop().time() - since == pytest.approx(3.0)
    assert not budget._waiting
    assert len(tokens) == RESERVE


@in_virtual_time
async def test_patience_that_ends_looks_once_more() -> None:
    budget, tokens = drained()
    waiting = asyncio.ensure_future(budget.take(3.0))
    await asyncio.sleep(1)
    for _ in range(5):
        budget.note_request(0.2)
    assert await waiting is not None
    assert len(tokens) == RESERVE


@pytest.mark.parametrize("is_woken", [False, True])
@in_virtual_time
async def test_cancelled_while_it_waits_it_takes_nothing(is_woken: bool) -> None:
    """Also in the very turn in which it would have got a token: the next one has it then."""
    budget, (token, *_) = drained()
    first, second = (asyncio.ensure_future(budget.take(5.0)) for _ in range(2))
    await asyncio.sleep(1)
    if is_woken:
        token.unused()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    if not is_woken:
        assert not second.done()
        token.unused()
    assert await second is not None
    assert not budget._waiting
    assert budget.try_take() is None


@in_virtual_time
async def test_a_wake_up_that_meets_a_cancelled_waiter_goes_to_the_next_one() -> None:
    """The first is cancelled, and before it runs the token comes back."""
    budget, (token, *_) = drained()
    first, second = (asyncio.ensure_future(budget.take(5.0)) for _ in range(2))
    await asyncio.sleep(1)
    since = asyncio.get_running_loop().time()
    first.cancel()
    token.unused()
    assert await second is not None
    assert asyncio.get_running_loop().time() == since
    assert first.cancelled() or first.cancelling()


@in_virtual_time
async def test_what_requests_add_wakes_a_waiter() -> None:
    budget, _ = drained()
    waiting = asyncio.ensure_future(budget.take(5.0))
    await asyncio.sleep(1)
    since = asyncio.get_running_loop().time()
    for _ in range(4):
        budget.note_request(0.25)
    assert await waiting is not None
    assert asyncio.get_running_loop().time() == since


@in_virtual_time
async def test_of_two_tokens_that_come_back_none_is_lost_to_one_whose_patience_ended() -> None:
    """Its timer has fired, but it has not run yet."""
    budget, (token, *_) = drained()
    hasty, patient = asyncio.ensure_future(budget.take(1.0)), asyncio.ensure_future(budget.take(5.0))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_at(1.0 + asyncio.get_running_loop().time(), token.answered)
    assert await hasty is not None
    assert await patient is not None


# Hedges


def test_hedges_are_a_share_of_the_requests() -> None:
    budget, made = HedgeBudget(), 0
    for _ in range(1000):
        budget.note_request(0.05)
        made += budget.try_take()
    assert made in (49, 50)


def test_no_more_than_ten_hedges_are_saved_up() -> None:
    budget = HedgeBudget()
    for _ in range(10_000):
        budget.note_request(0.05)
    assert sum(budget.try_take() for _ in range(100)) == 10


@pytest.mark.parametrize(("again", "longest"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, 3.0), (5, 3.0), (10_000, 3.0)])
def test_pauses_are_drawn_evenly_from_nothing_to_a_bound_that_doubles(again: int, longest: float) -> None:
    rng = random.Random(1)
    drawn = sorted(backoff_pause_s(again, SPEC, rng) for _ in range(4000))
    assert 0.0 <= drawn[0] < 0.01 * longest
    assert 0.99 * longest < drawn[-1] <= longest
    for share in (0.25, 0.5, 0.75):
        assert drawn[int(share * len(drawn))] == pytest.approx(share * longest, abs=0.04 * longest)


def test_those_who_failed_together_come_back_apart() -> None:
    rng = random.Random(1)
    assert len({backoff_pause_s(1, SPEC, rng) for _ in range(100)}) == 100

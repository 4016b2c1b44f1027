"""Who gets into a pool, who waits, and who is sent away."""

import asyncio
from collections.abc import Callable

import pytest

from gateway.config.spec import Priority, QueueSpec
from gateway.core.errors import Overloaded, QueueFull, QueueTimeout
from gateway.pools.concurrency import MIN_QUEUE_RETRY_S, REFUSALS, ConcurrencyLimiter, QueueEntry, RefusalReason
from tests.support.clock import FakeClock
from tests.support.loops import in_virtual_time, until

QUEUE = QueueSpec(max=4, wait_s=2.0)


def limiter_of(
    limit: int | None, queue: QueueSpec | None = QUEUE, *, running: int = 0, service_s: float = 0.0
) -> ConcurrencyLimiter:
    """Return a limiter with so many running requests; `service_s`: how long an earlier one took, 0.0 if there was none."""
    limiter = ConcurrencyLimiter(FakeClock())
    limiter.configure(limit, queue)
    if service_s:
        assert limiter.try_acquire()
        limiter.release(service_s)
    for _ in range(running):
        assert limiter.try_acquire()
    return limiter


def enter(
    limiter: ConcurrencyLimiter,
    tenant: str = "a",
    *,
    key: str = "",
    weight: int = 1,
    priority: Priority = "normal",
    cost: int = 1,
    deadline_at: float | None = None,
) -> "asyncio.Task[None]":
    """Begin to enter; the loop has to turn before anything happens."""
    entering = limiter.acquire(QueueEntry(tenant, key, weight, priority, cost), deadline_at)
    return asyncio.get_running_loop().create_task(entering, name=tenant)


async def enqueue(limiter: ConcurrencyLimiter, *tenants: str) -> list["asyncio.Task[None]"]:
    """Let one of each of these wait, in this order."""
    tasks = [enter(limiter, tenant) for tenant in tenants]
    await asyncio.sleep(0)
    return tasks


async def cancel(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def entered(tasks: list["asyncio.Task[None]"]) -> str:
    return "".join(task.get_name() for task in tasks if task.done() and not task.cancelled() and not task.exception())


def counts(limiter: ConcurrencyLimiter) -> dict[RefusalReason, int]:
    return {reason: count for reason, count in limiter.refusals.items() if count}


def test_without_a_limit_any_number_runs() -> None:
    limiter = limiter_of(None, running=1000)
    assert (limiter.in_flight, limiter.waiting) == (1000, 0)


def test_with_a_limit_so_many_run() -> None:
    limiter = limiter_of(2, running=2)
    assert not limiter.try_acquire()
    limiter.release(0.1)
    assert limiter.try_acquire()
    assert not limiter.try_acquire()
    assert limiter.in_flight == 2


async def test_with_a_free_slot_there_is_no_wait() -> None:
    limiter = limiter_of(1)
    waits: list[float] = []
    limiter.on_wait = waits.append
    await limiter.acquire(QueueEntry("a"))
    assert (limiter.in_flight, waits) == (1, [])


@in_virtual_time
async def test_a_slot_goes_to_the_first_waiter_only() -> None:
    limiter = limiter_of(1, running=1)
    tasks = await enqueue(limiter, "a", "a", "a")
    assert limiter.waiting == 3
    limiter.release(0.1)
    assert not limiter.try_acquire(), "the slot is taken from the moment it was given back"
    assert (limiter.in_flight, limiter.waiting) == (1, 2)
    await until(tasks[0].done)
    assert [task.done() for task in tasks] == [True, False, False]
    await cancel(*tasks[1:])


@in_virtual_time
async def test_the_wait_is_reported() -> None:
    limiter = limiter_of(1, running=1)
    waits: list[float] = []
    limiter.on_wait = waits.append
    (task,) = await enqueue(limiter, "a")
    await asyncio.sleep(1.5)
    limiter.release(0.1)
    await task
    assert waits == [pytest.approx(1.5)]


@in_virtual_time
async def test_tenants_take_turns() -> None:
    limiter = limiter_of(1, QueueSpec(max=10, wait_s=60.0), running=1)
    order: list[str] = []

    async def run(tenant: str) -> None:
        await limiter.acquire(QueueEntry(tenant, f"key of {tenant}"))
        order.append(tenant)

    async with asyncio.TaskGroup() as group:
        for tenant in "aaaabb":
            group.create_task(run(tenant))
            await asyncio.sleep(0)
        for served in range(6):
            limiter.release(0.1)
            await until(lambda served=served: len(order) > served)
    assert "".join(order) == "ababaa"


@in_virtual_time
async def test_keys_take_turns_where_it_is_fair_by_key() -> None:
    limiter = limiter_of(1, QueueSpec(max=10, wait_s=60.0, fair_by="key"), running=1)
    tasks = [enter(limiter, "t", key=key) for key in "aab"]
    await asyncio.sleep(0)
    limiter.release(0.1)
    limiter.release(0.1)
    await until(tasks[2].done)
    assert [task.done() for task in tasks] == [True, False, True]
    await cancel(*tasks)


@in_virtual_time
async def test_first_come_first_served_where_it_is_fair_by_none_but_for_priorities() -> None:
    limiter = limiter_of(1, QueueSpec(max=10, wait_s=60.0, fair_by="none"), running=1)
    tasks = [
        enter(limiter, "a"),
        enter(limiter, "a"),
        enter(limiter, "b", weight=9),
        enter(limiter, "h", priority="high"),
    ]
    await asyncio.sleep(0)
    for place in (3, 0, 1):
        limiter.release(0.1)
        await until(tasks[place].done)
    assert not tasks[2].done()
    await cancel(*tasks)


async def test_without_a_queue_there_is_no_wait() -> None:
    limiter = limiter_of(2, None, running=2, service_s=3.0)
    with pytest.raises(Overloaded) as raised:
        await limiter.acquire(QueueEntry("a"))
    assert (raised.value.error_code, raised.value.http_status) == ("overloaded", 503)
    assert raised.value.retry_after_s == pytest.approx(1.5)
    assert counts(limiter) == {"no_queue": 1}


async def test_every_refusal_says_when_to_come_again_even_if_nothing_is_known_yet() -> None:
    limiter = limiter_of(1, None, running=1)
    with pytest.raises(Overloaded) as raised:
        await limiter.acquire(QueueEntry("a"))
    assert raised.value.retry_after_s == MIN_QUEUE_RETRY_S


@in_virtual_time
async def test_a_full_queue_takes_no_more() -> None:
    limiter = limiter_of(1, running=1, service_s=0.1)
    tasks = await enqueue(limiter, "a", "a", "a", "a")
    with pytest.raises(QueueFull) as raised:
        await limiter.acquire(QueueEntry("a"))
    assert raised.value.error_code == "queue_full"
    assert raised.value.retry_after_s == pytest.approx(0.5), "four before it, and one that runs"
    assert (limiter.in_flight, limiter.waiting, counts(limiter)) == (1, 4, {"full": 1})
    await cancel(*tasks)


@in_virtual_time
async def test_in_a_full_queue_the_newest_of_a_flood_gives_way_to_a_quiet_tenant() -> None:
    limiter = limiter_of(1, running=1, service_s=0.1)
    tasks = await enqueue(limiter, "f", "f", "f", "f", "q")
    await until(tasks[3].done)
    error = tasks[3].exception()
    assert isinstance(error, QueueFull)
    assert error.retry_after_s == pytest.approx(0.4)
    assert [task.done() for task in tasks] == [False, False, False, True, False]
    assert (limiter.waiting, counts(limiter)) == (4, {"crowded_out": 1})
    await cancel(*tasks)


@in_virtual_time
async def test_waiting_ends_after_the_configured_time() -> None:
    limiter = limiter_of(1, running=1, service_s=0.5)
    began_at = asyncio.get_running_loop().time()
    with pytest.raises(QueueTimeout) as raised:
        await limiter.acquire(QueueEntry("a"))
    assert asyncio.get_running_loop().time() - began_at == pytest.approx(2.0)
    assert (raised.value.error_code, raised.value.http_status) == ("queue_timeout", 503)
    assert raised.value.retry_after_s == pytest.approx(0.5)
    assert (limiter.in_flight, limiter.waiting, counts(limiter)) == (1, 0, {"timeout": 1})


@in_virtual_time
async def test_waiting_ends_at_the_deadline_where_that_is_sooner() -> None:
    limiter = limiter_of(1, running=1)
    began_at = asyncio.get_running_loop().time()
    with pytest.raises(QueueTimeout):
        await limiter.acquire(QueueEntry("a"), began_at + 0.7)
    assert asyncio.get_running_loop().time() - began_at == pytest.approx(0.7)


@in_virtual_time
async def test_a_request_that_would_wait_too_long_is_refused_at_once() -> None:
    limiter = limiter_of(2, QueueSpec(max=100, wait_s=2.0), running=2, service_s=1.0)
    tasks = await enqueue(limiter, "a", "a", "a")
    began_at = asyncio.get_running_loop().time()
    with pytest.raises(QueueFull) as too_near:
        await limiter.acquire(QueueEntry("a"), began_at + 1.9)
    tasks += await enqueue(limiter, "a")
    with pytest.raises(QueueFull) as raised:
        await limiter.acquire(QueueEntry("a"))
    assert asyncio.get_running_loop().time() == began_at
    assert too_near.value.retry_after_s == pytest.approx(2.0)
    assert raised.value.retry_after_s == pytest.approx(2.5)
    assert (limiter.waiting, counts(limiter)) == (4, {"too_long": 2})
    await cancel(*tasks)


@in_virtual_time
async def test_the_wait_is_estimated_for_ones_own_place_not_behind_anothers_flood() -> None:
    limiter = limiter_of(1, QueueSpec(max=100, wait_s=5.0), running=1, service_s=1.0)
    tasks = await enqueue(limiter, "f", "f", "f", "f", "f")
    assert limiter.waiting == 5
    with pytest.raises(QueueFull):
        await limiter.acquire(QueueEntry("f"))
    tasks += await enqueue(limiter, "q")
    assert limiter.waiting == 6
    await cancel(*tasks)


async def test_with_a_deadline_that_has_passed_there_is_no_wait() -> None:
    limiter = limiter_of(1, running=1)
    with pytest.raises(QueueFull):
        await limiter.acquire(QueueEntry("a"), asyncio.get_running_loop().time() - 1.0)
    assert limiter.waiting == 0


@in_virtual_time
async def test_a_raised_limit_wakes_so_many_at_once() -> None:
    limiter = limiter_of(1, running=1)
    tasks = await enqueue(limiter, "a", "b", "c", "d")
    limiter.configure(3, QUEUE)
    assert (limiter.in_flight, limiter.waiting) == (3, 2)
    await until(lambda: entered(tasks) == "ab")
    limiter.configure(None, QUEUE)
    await until(lambda: entered(tasks) == "abcd")
    assert (limiter.in_flight, limiter.waiting) == (5, 0)


@in_virtual_time
async def test_a_lowered_limit_lets_what_runs_drain() -> None:
    limiter = limiter_of(3, running=3, service_s=0.2)
    (task,) = await enqueue(limiter, "a")
    limiter.configure(1, QUEUE)
    for _ in range(2):
        limiter.release(0.2)
        assert (limiter.waiting, limiter.try_acquire()) == (1, False)
    limiter.release(0.2)
    await task
    assert limiter.in_flight == 1


async def test_what_runs_beyond_a_lowered_limit_counts_for_the_wait() -> None:
    limiter = limiter_of(4, None, running=4, service_s=1.0)
    limiter.configure(2, None)
    with pytest.raises(Overloaded) as raised:
        await limiter.acquire(QueueEntry("a"))
    assert raised.value.retry_after_s == pytest.approx(1.5), "three must leave, of two at a time"


@in_virtual_time
async def test_a_waiter_keeps_its_place_when_the_queue_is_switched_off() -> None:
    limiter = limiter_of(1, running=1)
    (task,) = await enqueue(limiter, "a")
    limiter.configure(1, None)
    with pytest.raises(Overloaded):
        await limiter.acquire(QueueEntry("b"))
    limiter.release(0.1)
    await task
    assert limiter.in_flight == 1


@in_virtual_time
async def test_a_cancelled_one_gives_up_its_place() -> None:
    limiter = limiter_of(1, running=1)
    tasks = await enqueue(limiter, "a", "a")
    await cancel(tasks[0])
    assert tasks[0].cancelled()
    assert limiter.waiting == 1
    limiter.release(0.1)
    await tasks[1]
    limiter.release(0.1)
    assert limiter.in_flight == 0


def _leave_then_cancel(limiter: ConcurrencyLimiter, task: "asyncio.Task[None]") -> None:
    limiter.release(0.1)
    task.cancel()


def _cancel_then_leave(limiter: ConcurrencyLimiter, task: "asyncio.Task[None]") -> None:
    task.cancel()
    limiter.release(0.1)


@pytest.mark.parametrize("act", [_leave_then_cancel, _cancel_then_leave])
@in_virtual_time
async def test_a_slot_handed_to_one_that_is_cancelled_in_that_turn_goes_to_the_next(
    act: Callable[[ConcurrencyLimiter, "asyncio.Task[None]"], None],
) -> None:
    limiter = limiter_of(1, running=1)
    tasks = await enqueue(limiter, "a", "b")
    act(limiter, tasks[0])
    await until(lambda: all(task.done() for task in tasks))
    assert tasks[0].cancelled()
    assert entered(tasks) == "b"
    assert (limiter.in_flight, limiter.waiting) == (1, 0)


@in_virtual_time
async def test_one_that_is_cancelled_before_it_began_to_wait_leaves_nothing() -> None:
    limiter = limiter_of(1, running=1)
    await cancel(enter(limiter))
    assert (limiter.in_flight, limiter.waiting) == (1, 0)


@in_virtual_time
async def test_one_that_is_cancelled_as_it_is_sent_away_ends_cancelled_and_has_no_slot() -> None:
    limiter = limiter_of(1, QueueSpec(max=4, wait_s=2.0), running=1)
    tasks = await enqueue(limiter, "f", "f", "f", "f")
    quiet = enter(limiter, "q")
    asyncio.get_running_loop().call_soon(
        tasks[3].cancel
    )  # between the step of `quiet` and that of the one it drives out
    await until(tasks[3].done)
    assert tasks[3].cancelled()
    assert (limiter.in_flight, limiter.waiting, counts(limiter)) == (1, 4, {"crowded_out": 1})
    await cancel(*tasks, quiet)


@in_virtual_time
async def test_a_cancelled_one_that_is_chosen_to_give_way_is_no_refusal() -> None:
    limiter = limiter_of(1, running=1)
    tasks = await enqueue(limiter, "f", "f", "f", "f")
    quiet = enter(limiter, "q")  # its first step comes before the cancelled one hears of its fate
    tasks[3].cancel()
    await until(tasks[3].done)
    assert tasks[3].cancelled()
    assert limiter.waiting == 4
    assert counts(limiter) == {}
    await cancel(*tasks, quiet)


@in_virtual_time
async def test_a_waiter_whose_loop_ends_leaves_nothing() -> None:
    limiter = limiter_of(1, running=1)
    entering = limiter.acquire(QueueEntry("a"))
    entering.send(None)
    assert limiter.waiting == 1
    entering.close()
    assert (limiter.in_flight, limiter.waiting) == (1, 0)


@in_virtual_time
async def test_timers_end_with_the_wait() -> None:
    limiter = limiter_of(1, running=1)
    (task,) = await enqueue(limiter, "a")
    limiter.release(0.1)
    await task
    loop = asyncio.get_running_loop()
    assert [timer for timer in loop._scheduled if not timer.cancelled()] == []  # type: ignore[attr-defined]
    assert counts(limiter) == {}


@in_virtual_time
async def test_a_request_that_says_it_costs_nothing_takes_its_share_all_the_same() -> None:
    limiter = limiter_of(1, running=1)
    tasks = [enter(limiter, tenant, cost=0) for tenant in "aab"]
    await asyncio.sleep(0)
    limiter.release(0.1)
    limiter.release(0.1)
    await until(tasks[2].done)
    assert entered(tasks) == "ab"
    await cancel(*tasks)


def test_every_reason_is_counted_from_the_start() -> None:
    assert list(ConcurrencyLimiter(FakeClock()).refusals) == list(REFUSALS)

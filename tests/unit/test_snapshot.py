"""What a worker keeps for its life: room, circuits, and an end for everything that runs."""

import asyncio

import pytest

from gateway.core.errors import EventLoopLate, Overloaded, ShuttingDown
from gateway.observability.lag import LoopLag
from tests.support.clock import FakeClock
from tests.support.replay import ReplayWorker
from tests.support.serving import OPEN_CONFIG


@pytest.fixture
async def line(clock: FakeClock) -> ReplayWorker:
    return ReplayWorker(OPEN_CONFIG + "server: {limits: {in_flight: 2}}\n", clock)


async def run(line: ReplayWorker, requests: int) -> list[asyncio.Task[object]]:
    """Let requests run that never end by themselves."""
    tasks: list[asyncio.Task[object]] = []
    for _ in range(requests):
        waiting: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        task = line.services.tasks.start(asyncio.wait_for(waiting, None), "request")
        line.services.running[line.exchange("auto")] = task
        tasks.append(task)
    await asyncio.sleep(0)  # each has begun to wait
    return tasks


async def test_room_is_for_as_many_as_the_limit_says_the_asking_one_included(line: ReplayWorker) -> None:
    await run(line, 2)
    line.services.check_capacity()
    await run(line, 1)
    with pytest.raises(Overloaded) as raised:
        line.services.check_capacity()
    assert raised.value.retry_after_s == 1.0
    assert line.services.in_flight == 3
    await line.services.tasks.close()


async def test_the_limit_is_that_of_the_configuration_in_force(line: ReplayWorker) -> None:
    await run(line, 3)
    line.activate(OPEN_CONFIG + "server: {limits: {in_flight: 3}}\n")
    line.services.check_capacity()
    await line.services.tasks.close()


async def test_there_is_no_room_when_new_requests_are_refused(line: ReplayWorker) -> None:
    line.services.refuse_new()
    with pytest.raises(ShuttingDown):
        line.services.check_capacity()


class Late(LoopLag):
    """A loop that wakes up three seconds late, whatever the machine does."""

    def is_late(self, limit_s: float) -> bool:
        return limit_s < 3.0


async def test_a_loop_that_is_late_takes_nothing_new(line: ReplayWorker) -> None:
    line.services.lag = Late(line.services.metrics, asyncio.get_running_loop())
    with pytest.raises(EventLoopLate) as raised:
        line.services.check_capacity()
    assert (raised.value.http_status, raised.value.retry_after_s) == (503, 1.0)
    for limit in ("4s", "none"):
        line.activate(OPEN_CONFIG + f"server: {{limits: {{loop_lag: {limit}}}}}\n")
        line.services.check_capacity()
    line.services.lag.close()


async def test_everything_that_runs_is_cut_and_told_why(line: ReplayWorker) -> None:
    tasks = await run(line, 2)
    line.services.cut_running()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    assert all(isinstance(x.cut, ShuttingDown) for x in line.services.running)


async def test_circuits_are_those_of_the_configuration_in_force(line: ReplayWorker) -> None:
    assert line.services.circuits() == dict.fromkeys(["a/m-a", "b/m-b", "a/mock-*"], "closed")
    line.activate(OPEN_CONFIG.replace(', "mock-*"]', "]").replace("  mock-*: {", "  other: {"))
    assert set(line.services.circuits()) == {"a/m-a", "b/m-b"}

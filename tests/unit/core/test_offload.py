"""Work in threads: how many at once, and what a cancelled caller leaves behind."""

import asyncio
import threading

import pytest

from gateway.core.offload import MEDIUM_BYTES, Offload
from tests.support.replay import until


async def test_work_of_one_size_runs_one_after_the_other_and_light_work_passes_heavy() -> None:
    offload, gate, order = Offload(), threading.Event(), list[str]()

    def heavy() -> None:
        gate.wait(5)
        order.append("heavy")

    tasks = [asyncio.create_task(offload.run(MEDIUM_BYTES + 1, heavy)) for _ in range(2)]
    await asyncio.sleep(0)
    await offload.run(1, lambda: order.append("light"))
    gate.set()
    await asyncio.gather(*tasks)
    assert order == ["light", "heavy", "heavy"]
    offload.close()


async def test_a_cancelled_caller_leaves_at_once_and_the_next_waits_for_the_thread() -> None:
    offload, gate, began = Offload(), threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        gate.wait(5)

    first = asyncio.create_task(offload.run(1, work))
    await until(began.is_set)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.create_task(offload.run(1, lambda: "second"))
    waiting = asyncio.create_task(offload.run(1, lambda: "never"))
    await asyncio.sleep(0.01)
    assert not second.done()
    waiting.cancel()
    gate.set()
    assert await second == "second"
    assert await offload.run(1, lambda: "third") == "third"
    offload.close()


async def test_errors_reach_the_caller_and_free_the_thread() -> None:
    offload = Offload()
    with pytest.raises(ZeroDivisionError):
        await offload.run(1, lambda: 1 / 0)
    assert await offload.run(1, lambda: 2) == 2
    offload.close()

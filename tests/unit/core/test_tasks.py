"""Background tasks: each has an owner, and an end."""

import asyncio
import gc
import warnings

import pytest

from gateway.core.tasks import Tasks


async def test_a_task_that_is_cancelled_before_it_begins_leaves_nothing() -> None:
    tasks, began = Tasks(), False

    async def work() -> None:
        nonlocal began
        began = True

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tasks.start(work(), "work").cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()
    assert not began
    await tasks.close()


async def test_close_cancels_what_runs_and_waits_for_its_end() -> None:
    tasks, ended = Tasks(), False

    async def work() -> None:
        nonlocal ended
        try:
            await asyncio.Event().wait()
        finally:
            ended = True

    tasks.start(work(), "work")
    await asyncio.sleep(0)
    await tasks.close()
    assert ended


async def test_a_failure_is_logged_and_of_an_essential_task_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    reported: list[bool] = []
    tasks = Tasks(on_fatal=lambda: reported.append(True))

    async def work() -> None:
        raise ValueError("no")

    await asyncio.wait([tasks.start(work(), "plain")])
    assert reported == []
    await asyncio.wait([tasks.start(work(), "one", essential=True), tasks.start(work(), "two", essential=True)])
    assert reported == [True]
    assert [record.message for record in caplog.records] == ["background task failed"] * 3


async def test_an_essential_task_may_not_end(caplog: pytest.LogCaptureFixture) -> None:
    reported: list[bool] = []
    tasks = Tasks(on_fatal=lambda: reported.append(True))
    await asyncio.wait([tasks.start(asyncio.sleep(0), "short", essential=True)])
    assert reported == [True]
    assert [record.message for record in caplog.records] == ["essential task ended"]

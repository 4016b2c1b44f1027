"""Leaving: not ready at once, closed after the grace, cut only at the deadline."""

import asyncio

from gateway.runtime.drain import drain


class Services:
    def __init__(self, in_flight: int, story: list[str]) -> None:
        self.in_flight = in_flight
        self.draining = False
        self._story = story

    def refuse_new(self) -> None:
        self._story.append(f"refuse (draining={self.draining})")

    def cut_running(self) -> None:
        self._story.append("cut")
        self.in_flight = 0


class Listener:
    def __init__(self, story: list[str]) -> None:
        self._story = story

    async def stop(self) -> None:
        self._story.append("close")


async def test_an_idle_worker_leaves_without_waiting_for_the_deadline() -> None:
    story: list[str] = []
    async with asyncio.timeout(5):
        await drain(Services(0, story), [Listener(story)], 0.0, 1000.0)
    assert story == ["close", "refuse (draining=True)"]


async def test_it_is_not_ready_but_open_during_the_grace() -> None:
    story: list[str] = []
    services = Services(0, story)
    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(drain(services, [Listener(story)], 1000.0, 2000.0))
        await asyncio.sleep(0)
        assert services.draining
        assert story == []
        leaving.cancel()


async def test_running_requests_are_waited_for() -> None:
    story: list[str] = []
    services = Services(1, story)
    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(drain(services, [Listener(story)], 0.0, 1000.0))
        while "refuse (draining=True)" not in story:  # noqa: ASYNC110 (turns of the loop, no time)
            await asyncio.sleep(0)
        assert not leaving.done()
        services.in_flight = 0
    assert "cut" not in story


async def test_what_runs_past_the_deadline_is_cut() -> None:
    story: list[str] = []
    await drain(Services(3, story), [Listener(story)], 0.0, 0.0)
    assert story == ["close", "refuse (draining=True)", "cut"]

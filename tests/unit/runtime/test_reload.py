"""A reload takes effect whole or not at all, and whoever asked hears how it ended."""

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.config.load import Loaded
from gateway.config.spec import Listen, LogSpec, Policy, ServerSpec, Spec
from gateway.core.problem import ConfigError, Place, Problem
from gateway.core.tasks import Tasks
from gateway.observability.metrics import Metrics
from gateway.runtime.reload import Reloader, WorkerCounts
from tests.support.clock import FakeClock

FAULT = Problem(Place("gateway.yaml", 3, 7), "pools.fast", "no such model")


def loaded(digest: str, server: ServerSpec | None = None) -> Loaded:
    spec = Spec(server or ServerSpec(), "/s", {}, {}, {}, Policy(), {}, (), {}, LogSpec(), (), digest)
    return Loaded(spec, (Problem(Place("f", 1, 1), "x", "a warning"),), ())


class Desk:
    """A reloader under test: `next` is what the files hold, `refusals` what the workers say."""

    def __init__(self) -> None:
        self.next: Loaded | Exception = loaded("b")
        self.refusals: list[str] = []
        self.applied: list[int] = []
        self.loads = 0
        self.metrics = Metrics()
        self.tasks = Tasks()
        self.executor = ThreadPoolExecutor(1)
        self.limiter = asyncio.Event()
        self.limiter.set()
        self.reloader = Reloader(
            loaded("a"),
            load=self._load,
            apply=self._apply,
            count_workers=lambda: WorkerCounts(1, 1),
            executor=self.executor,
            clock=FakeClock(),
            metrics=self.metrics,
        )
        self.tasks.start(self.reloader.run(), "reload")

    def _load(self) -> Loaded:
        self.loads += 1
        if isinstance(self.next, Exception):
            raise self.next
        return self.next

    async def _apply(self, new: Loaded, generation: int) -> list[str]:
        await self.limiter.wait()
        self.applied.append(generation)
        return self.refusals

    @property
    def in_force(self) -> tuple[int, str]:
        return self.reloader.generation, self.reloader.current.spec.digest


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    one = Desk()
    yield one
    await one.tasks.close()
    one.executor.shutdown()


async def test_a_good_file_comes_into_force_under_the_next_number(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    outcome = await desk.reloader.request(is_explicit=True)
    assert (outcome.ok, outcome.generation, outcome.active, outcome.workers) == (True, 2, 1, 1)
    assert desk.in_force == (2, "b")
    assert "config 2 active on 1 of 1 workers" in caplog.messages
    assert "configuration warning" in caplog.messages
    assert desk.metrics.config_generation.value == 2
    assert desk.metrics.config_reloads["ok"].value == 1


async def test_a_bad_file_changes_nothing_and_every_problem_is_logged(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.next = ConfigError([FAULT, Problem(Place("gateway.yaml", 9, 1), "routes", "none")])
    outcome = await desk.reloader.request(is_explicit=True)
    assert (outcome.ok, outcome.generation, len(outcome.problems)) == (False, 1, 2)
    assert desk.in_force == (1, "a")
    assert desk.applied == []
    assert desk.metrics.config_last_reload_ok.value == 0
    assert desk.metrics.config_reloads["refused"].value == 1
    places = [vars(one)["place"] for one in caplog.records if one.message == "configuration problem"]
    assert places == ["gateway.yaml:3:7", "gateway.yaml:9:1"]
    assert outcome.document()["problems"][0] == {
        "file": "gateway.yaml",
        "line": 3,
        "column": 7,
        "path": "pools.fast",
        "message": "no such model",
    }


async def test_a_static_change_is_refused_by_name(desk: Desk) -> None:
    desk.next = loaded("b", ServerSpec(listen=(Listen("127.0.0.1", 9),)))
    outcome = await desk.reloader.request(is_explicit=True)
    assert (outcome.ok, outcome.static) == (False, ("server.listen",))
    assert desk.applied == []


async def test_what_a_worker_refuses_is_not_in_force(desk: Desk) -> None:
    desk.refusals = ["worker-1 could not compile it"]
    outcome = await desk.reloader.request(is_explicit=True)
    assert [problem.message for problem in outcome.problems] == desk.refusals
    assert desk.in_force == (1, "a")
    desk.refusals = []
    assert (await desk.reloader.request(is_explicit=True)).generation == 2


async def test_asking_with_an_unchanged_file_still_makes_a_new_generation(desk: Desk) -> None:
    desk.next = loaded("a")
    assert (await desk.reloader.request(is_explicit=True)).generation == 2


async def test_files_that_changed_back_to_what_is_in_force_are_no_news(desk: Desk) -> None:
    desk.next = loaded("a")
    outcome = await desk.reloader.request(is_explicit=False)
    assert (outcome.ok, outcome.generation) == (True, 1)
    assert desk.applied == []
    assert desk.reloader.last is None
    assert desk.metrics.config_reloads["ok"].value == 0


async def test_a_refused_file_that_is_mended_by_undoing_it_is_well_again(desk: Desk) -> None:
    desk.next = ConfigError([FAULT])
    await desk.reloader.request(is_explicit=False)
    assert desk.metrics.config_last_reload_ok.value == 0
    desk.next = loaded("a")
    await desk.reloader.request(is_explicit=False)
    assert desk.metrics.config_last_reload_ok.value == 1
    assert desk.in_force == (1, "a")


async def test_requests_during_a_reload_share_the_next_one(desk: Desk) -> None:
    desk.limiter.clear()
    first = desk.reloader.request(is_explicit=True)
    while desk.loads == 0:  # noqa: ASYNC110
        await asyncio.sleep(0)
    later = [desk.reloader.request(is_explicit=True) for _ in range(50)]
    desk.limiter.set()
    assert (await first).generation == 2
    assert {(await one).generation for one in later} == {3}
    assert desk.loads == 2


async def test_one_who_gave_up_waiting_does_not_disturb(desk: Desk) -> None:
    desk.reloader.request(is_explicit=True).cancel()
    assert (await desk.reloader.request(is_explicit=True)).ok


async def test_a_bug_refuses_the_reload_and_the_next_one_works(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.next = RuntimeError("a bug")
    outcome = await desk.reloader.request(is_explicit=True)
    assert (outcome.ok, outcome.problems[0].message) == (False, "internal error, see the log")
    assert "a bug" in caplog.text
    desk.next = loaded("c")
    assert (await desk.reloader.request(is_explicit=True)).ok

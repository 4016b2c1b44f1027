"""Workers move together from one configuration to the next, and one that dies is replaced by one that knows the last."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from gateway.config.spec import LogSpec, Policy, ServerSpec, Spec
from gateway.core.clock import SystemClock
from gateway.core.tasks import Tasks
from gateway.observability.merge import Merged
from gateway.observability.metrics import Metrics
from gateway.runtime import bus, messages, workers
from gateway.runtime.config_version import ConfigVersion, decode_spec
from gateway.runtime.launch import LaunchedWorker, Lifeline
from gateway.runtime.shared_ports import DataSockets
from gateway.runtime.workers import StartError, WorkerFactory, Workers


class FakeProcess:
    """What control sees of a process."""

    def __init__(self, pid: int, end: socket.socket) -> None:
        self.pid = pid
        self.ended = asyncio.Event()
        self.code: int | None = None
        self._end = end

    def poll(self) -> int | None:
        return self.code

    def leave(self, code: int) -> None:
        if self.code is None:
            self.code = code
            with contextlib.suppress(OSError):  # closed already
                self._end.shutdown(socket.SHUT_RDWR)
            self.ended.set()

    def kill(self) -> None:
        self.leave(-9)

    def terminate(self) -> None:
        self.leave(-15)


class FakeReaper:
    async def wait(self, process: FakeProcess) -> int:
        await process.ended.wait()
        assert process.code is not None
        return process.code


class FakeWorker:
    """A worker's side of the bus, in this process. `refuses`, `dies_at` and `is_deaf` make it misbehave."""

    def __init__(self, launched: LaunchedWorker, process: FakeProcess, end: socket.socket) -> None:
        self.launched = launched
        self.process = process
        self.end = end
        self.received: list[messages.ToWorker] = []
        self.start: messages.Start | None = None
        self.active = 0
        self.refuses = ""
        self.loses = 0  # so many activations find nothing prepared
        self.dies_at: type | None = None
        self.stays = False
        self.requests = 0
        self.accepts: tuple[int, ...] = ()
        self.never_ready = False
        self.link: bus.Link | None = None

    async def live(self) -> None:
        received = await asyncio.get_running_loop().run_in_executor(None, bus.receive_start, self.end)
        if received is None:
            return
        self.start, listeners = received
        for listener in listeners:
            listener.close()
        link = await bus.Link.open(self.end)
        if self.dies_at is messages.Start:
            self.process.leave(1)
            link.close()
            return
        self.accepts = self.start.accept
        self.active = self.start.generation
        self.link = link
        if not self.never_ready:
            link.send(messages.Ready(self.active))
        try:
            await self._receive(link)
        finally:
            link.close()

    async def _receive(self, link: bus.Link) -> None:
        decoder = bus.to_worker_decoder()
        while (message := await link.receive(decoder)) is not None:
            if isinstance(message, messages.Accept):
                self.accepts = message.listeners
                continue
            self.received.append(message)
            if self.dies_at is type(message):
                self.process.leave(1)
                return
            if self._answer(link, message):
                return

    def _answer(self, link: bus.Link, message: messages.ToWorker) -> bool:
        match message:
            case messages.Prepare():
                link.send(messages.Prepared(message.id, self.refuses))
            case messages.Activate():
                if self.loses:
                    self.loses -= 1
                else:
                    self.active = message.generation
                link.send(messages.Activated(message.id, self.active))
            case messages.AskMetrics():
                metrics = Metrics()
                metrics.requests["m", "200"].value = self.requests
                link.send(messages.Metrics(message.id, metrics.snapshot()))
            case messages.AskHealth():
                link.send(messages.Health(message.id, {"p/m": "closed"}, 3))
            case messages.AskEndpoints():
                link.send(messages.Endpoints(message.id, (), ()))
            case messages.Drain():
                link.send(messages.Drained(message.id))
            case messages.Stop() if not self.stays:
                self.process.leave(0)
                return True
            case _:
                pass
        return False

    def kinds(self) -> list[str]:
        return [type(message).__name__ for message in self.received]


class Stable:
    """Two workers under test, and what control was told."""

    def __init__(self) -> None:
        self.tasks = Tasks()
        self.merged = Merged()
        self.launched_workers: list[FakeWorker] = []
        self.restarts = 0
        self.fatal = 0
        self.prepare_next: Callable[[FakeWorker], None] = lambda worker: None
        self.acceptors = [socket.socket() for _ in range(2)]
        self.workers = self.hire(2)

    def hire(self, count: int) -> Workers:
        """Make the workers that are under test: `count`, with a door each."""
        factory = WorkerFactory(
            self.tasks,
            SystemClock(),
            FakeReaper(),
            Lifeline(-1, -1),
            DataSockets(tuple(self.acceptors[:count]), (0,) * count, tuple((number,) for number in range(count))),
            self.launch,  # type: ignore[arg-type]
        )
        return Workers(factory, self.merged, self._restarted, self._failed)

    def launch(self, _: Lifeline) -> LaunchedWorker:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        process = FakeProcess(1000 + len(self.launched_workers), theirs)
        launched = LaunchedWorker(process, ours)  # type: ignore[arg-type]
        worker = FakeWorker(launched, process, theirs)
        self.prepare_next(worker)
        self.launched_workers.append(worker)
        self.tasks.start(worker.live(), "fake worker")
        return launched

    async def start(self, count: int = 2) -> None:
        if count != 2:
            self.workers = self.hire(count)
        await self.workers.start(version(1), self.launch(Lifeline(-1, -1)))
        await self.until(lambda: self.workers.active == count)
        await self.until(
            lambda: [worker.accepts for worker in self.launched_workers] == [(number,) for number in range(count)]
        )

    async def until(self, is_so: Callable[[], Any]) -> None:
        async with asyncio.timeout(10):
            while not is_so():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def close(self) -> None:
        self.workers.kill()
        await asyncio.sleep(0)
        await self.tasks.close()
        for worker in self.launched_workers:
            worker.end.close()
            worker.launched.bus.close()
        for acceptor in self.acceptors:
            acceptor.close()

    def _restarted(self) -> None:
        self.restarts += 1

    def _failed(self) -> None:
        self.fatal += 1


@pytest.fixture
async def stable() -> AsyncIterator[Stable]:
    one = Stable()
    yield one
    await one.close()


def version(generation: int) -> ConfigVersion:
    spec = Spec(ServerSpec(), "/s", {}, {}, {}, Policy(), {}, (), {}, LogSpec(), (), f"digest-{generation}")
    return ConfigVersion.of(generation, spec, {"local": "unix:/x"})


async def test_workers_start_with_the_first_configuration(stable: Stable) -> None:
    stable.workers.child_changed("local", "warming")
    await stable.start()
    for worker in stable.launched_workers:
        assert worker.start is not None
        assert decode_spec(worker.start.spec).digest == "digest-1"
        assert worker.start.addresses == {"local": "unix:/x"}
        assert worker.start.children == {"local": "warming"}
    assert (stable.workers.active, stable.workers.wanted) == (2, 2)


async def test_a_first_worker_that_dies_before_it_serves_fails_the_start(stable: Stable) -> None:
    stable.prepare_next = lambda worker: setattr(worker, "dies_at", messages.Start)
    with pytest.raises(StartError, match="before it served"):
        await stable.start(1)


async def test_a_reload_prepares_everywhere_before_it_activates_anywhere(stable: Stable) -> None:
    await stable.start()
    assert await stable.workers.prepare(version(2)) == []
    assert [worker.kinds() for worker in stable.launched_workers] == [["Prepare"], ["Prepare"]]
    assert [worker.active for worker in stable.launched_workers] == [1, 1]
    await stable.workers.activate(version(2))
    assert [worker.active for worker in stable.launched_workers] == [2, 2]
    assert stable.workers.active == 2


async def test_one_worker_that_cannot_prepare_is_named_and_nothing_is_activated(stable: Stable) -> None:
    await stable.start()
    stable.launched_workers[1].refuses = "no such thing"
    (problem,) = await stable.workers.prepare(version(2))
    assert problem == "worker-2 (pid 1001) could not compile it: no such thing"
    stable.workers.discard(version(2))
    await stable.until(lambda: stable.launched_workers[0].kinds() == ["Prepare", "Discard"])
    assert [worker.active for worker in stable.launched_workers] == [1, 1]
    assert stable.workers.active == 2


async def test_a_worker_that_dies_while_preparing_refuses_the_reload_and_comes_back_with_the_old(
    stable: Stable,
) -> None:
    await stable.start()
    stable.launched_workers[0].dies_at = messages.Prepare
    (problem,) = await stable.workers.prepare(version(2))
    assert "it ended or did not answer" in problem
    stable.workers.discard(version(2))
    await stable.until(lambda: stable.workers.active == 2)
    assert stable.launched_workers[2].start is not None
    assert stable.launched_workers[2].start.generation == 1


async def test_a_killed_worker_is_replaced_by_one_with_the_last_good_configuration(stable: Stable) -> None:
    await stable.start()
    await stable.workers.prepare(version(2))
    await stable.workers.activate(version(2))
    stable.launched_workers[0].process.kill()
    await stable.until(lambda: len(stable.launched_workers) == 3 and stable.workers.active == 2)
    assert stable.launched_workers[2].start is not None
    assert decode_spec(stable.launched_workers[2].start.spec).digest == "digest-2"
    assert stable.restarts == 1
    assert stable.fatal == 0


async def test_the_first_worker_accepts_for_its_siblings_until_they_serve(stable: Stable) -> None:
    stable.prepare_next = lambda worker: setattr(worker, "dies_at", messages.Start if stable.launched_workers else None)
    await stable.workers.start(version(1), stable.launch(Lifeline(-1, -1)))
    await stable.until(lambda: len(stable.launched_workers) > 1)
    stable.prepare_next = lambda worker: None
    assert stable.launched_workers[0].accepts == (0, 1)
    await stable.until(lambda: stable.workers.active == 2 and stable.launched_workers[0].accepts == (0,))
    assert stable.launched_workers[-1].accepts == (1,)


async def test_while_a_worker_is_gone_its_sibling_accepts_in_its_place(stable: Stable) -> None:
    await stable.start()
    assert [worker.accepts for worker in stable.launched_workers] == [(0,), (1,)]
    stable.launched_workers[0].process.kill()
    await stable.until(lambda: stable.launched_workers[1].accepts == (0, 1))
    await stable.until(lambda: stable.workers.active == 2 and stable.launched_workers[1].accepts == (1,))
    assert stable.launched_workers[2].start is not None
    assert stable.launched_workers[2].start.number == 1
    assert stable.launched_workers[2].accepts == (0,)


async def test_a_silent_worker_is_stood_in_for_then_killed_and_replaced(
    stable: Stable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "CHECK_S", 0.01)
    await stable.start()
    silent, other = stable.launched_workers

    def speak() -> None:
        assert other.link is not None
        other.link.send(messages.LifeSign())

    await stable.until(lambda: (speak(), other.accepts == (0, 1))[1])
    assert silent.process.code is None
    await stable.until(lambda: (speak(), silent.process.code == -9)[1])
    await stable.until(lambda: (speak(), len(stable.launched_workers) == 3)[1])
    assert other.process.code is None


async def test_a_first_worker_that_never_serves_is_killed_and_fails_the_start(
    stable: Stable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "CHECK_S", 0.005)
    monkeypatch.setattr(workers, "MAX_START_CHECKS", 5)
    stable.prepare_next = lambda worker: setattr(worker, "never_ready", True)
    with pytest.raises(StartError):
        await stable.start(1)
    assert stable.launched_workers[0].process.code == -9


async def test_a_stop_before_the_start_ends_the_wait_for_the_first_worker(stable: Stable) -> None:
    stable.workers.kill()
    async with asyncio.timeout(5):
        await stable.workers.start(version(1), stable.launch(Lifeline(-1, -1)))
    assert stable.fatal == 0
    assert stable.workers.active == 0


async def test_what_is_told_before_a_worker_can_hear_reaches_it(stable: Stable) -> None:
    starting = asyncio.ensure_future(stable.start(1))
    await asyncio.sleep(0)  # the worker is in the list, and its bus is not open
    await asyncio.sleep(0)
    stable.workers.child_changed("local", "up")
    await starting
    worker = stable.launched_workers[0]
    assert worker.start is not None
    told = worker.start.children.get("local") == "up"
    await stable.until(lambda: told or worker.received == [messages.ChildState("local", "up")])


async def test_a_worker_that_becomes_ready_with_an_old_configuration_catches_up(stable: Stable) -> None:
    await stable.start(1)
    stable.launched_workers[0].process.kill()
    await stable.until(lambda: len(stable.launched_workers) == 2)
    assert await stable.workers.prepare(version(2)) == []
    await stable.workers.activate(version(2))
    await stable.until(lambda: stable.workers.active == 1)
    assert stable.launched_workers[1].active == 2


async def test_a_worker_that_cannot_activate_is_replaced(stable: Stable, monkeypatch: pytest.MonkeyPatch) -> None:
    await stable.start()
    stable.launched_workers[0].dies_at = messages.Activate
    await stable.workers.prepare(version(2))
    await stable.workers.activate(version(2))
    await stable.until(lambda: len(stable.launched_workers) == 3 and stable.workers.active == 2)
    assert stable.launched_workers[2].start is not None
    assert stable.launched_workers[2].start.generation == 2


async def test_a_discarded_generation_is_prepared_anew_when_its_number_comes_again(stable: Stable) -> None:
    await stable.start(1)
    await stable.workers.prepare(version(2))
    stable.workers.discard(version(2))
    await stable.workers.activate(version(2))
    assert stable.launched_workers[0].kinds() == ["Prepare", "Discard", "Prepare", "Activate"]


async def test_a_worker_that_has_lost_what_it_prepared_prepares_again_and_lives(stable: Stable) -> None:
    await stable.start(1)
    worker = stable.launched_workers[0]
    worker.loses = 2
    await stable.workers.prepare(version(2))
    await stable.workers.activate(version(2))
    assert worker.kinds() == ["Prepare", "Activate", "Prepare", "Activate", "Prepare", "Activate"]
    assert (worker.active, stable.workers.active, stable.restarts) == (2, 1, 0)
    assert worker.process.code is None


async def test_a_catch_up_and_reloads_overlap_without_a_kill(stable: Stable) -> None:
    await stable.start(2)
    for number in range(2, 6):
        stable.launched_workers[-1].process.kill()
        count = len(stable.launched_workers)
        await stable.until(lambda n=count: len(stable.launched_workers) > n and stable.launched_workers[-1].start)  # type: ignore[misc]
        stable.launched_workers[-1].loses = number % 3
        assert await stable.workers.prepare(version(number)) == []
        await stable.workers.activate(version(number))
        await stable.until(lambda: stable.workers.active == 2)
        assert stable.restarts == number - 1
        assert [one.active for one in stable.launched_workers if one.process.code is None] == [number, number]


async def test_what_a_dead_worker_counted_is_kept(stable: Stable) -> None:
    await stable.start()
    stable.launched_workers[0].requests, stable.launched_workers[1].requests = 5, 7
    await stable.workers.collect_metrics()
    stable.launched_workers[0].process.kill()
    await stable.until(lambda: len(stable.launched_workers) == 3 and stable.workers.active == 2)
    await stable.workers.collect_metrics()
    assert stable.merged.samples()["llm_requests_total"]["m", "200"] == [12]


async def test_a_silent_worker_is_left_out_after_its_time(stable: Stable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "ANSWER_PATIENCE_S", 0.05)
    await stable.start()
    stable.launched_workers[0]._answer = lambda link, message: False  # type: ignore[method-assign]
    assert len(await stable.workers.health()) == 1


async def test_news_of_children_reach_all_workers(stable: Stable) -> None:
    await stable.start()
    stable.workers.child_changed("local", "up")
    await stable.until(
        lambda: all(worker.received == [messages.ChildState("local", "up")] for worker in stable.launched_workers)
    )


OPENED = messages.EndpointEvent("0123abcd", "opened", 30.0)
REFUSED = messages.EndpointEvent("0123abcd", "key_refused", 300.0)


def say(worker: FakeWorker, news: messages.EndpointEvent) -> None:
    assert worker.link is not None
    worker.link.send(news)


async def test_what_one_worker_learns_all_others_hear(stable: Stable) -> None:
    await stable.start()
    say(stable.launched_workers[0], OPENED)
    await stable.until(lambda: stable.launched_workers[1].received == [OPENED])
    assert stable.launched_workers[0].received == []


async def test_a_worker_that_starts_later_hears_what_still_holds(stable: Stable) -> None:
    await stable.start()
    say(stable.launched_workers[0], OPENED)
    say(stable.launched_workers[0], messages.EndpointEvent("4567cdef", "opened", 0.0))
    await stable.until(lambda: len(stable.launched_workers[1].received) == 2)
    stable.launched_workers[1].process.kill()
    await stable.until(lambda: len(stable.launched_workers) == 3 and stable.workers.active == 2)
    assert stable.launched_workers[2].start is not None
    (news,) = stable.launched_workers[2].start.events
    assert (news.identity, news.kind) == ("0123abcd", "opened")
    assert 20.0 < news.seconds < 30.0


async def test_a_drain_reaches_all_workers_and_those_that_start_later(stable: Stable) -> None:
    await stable.start()
    assert await stable.workers.drain(("web",)) == 2
    assert [worker.kinds() for worker in stable.launched_workers] == [["Drain"], ["Drain"]]
    stable.launched_workers[0].process.kill()
    await stable.until(lambda: len(stable.launched_workers) == 3 and stable.workers.active == 2)
    assert stable.launched_workers[2].start is not None
    assert stable.launched_workers[2].start.drained == ("web",)


async def test_a_drain_reaches_a_worker_that_does_not_serve_yet(stable: Stable) -> None:
    await stable.start(1)
    stable.prepare_next = lambda worker: setattr(worker, "never_ready", True)
    stable.launched_workers[0].process.kill()
    await stable.until(lambda: len(stable.launched_workers) == 2 and stable.launched_workers[1].start is not None)
    assert await stable.workers.drain(("web",), ("own",)) == 0
    await stable.until(lambda: stable.launched_workers[1].received == [messages.Drain(("web",), ("own",))])


async def test_what_the_operator_enables_is_not_refused_to_later_workers(stable: Stable) -> None:
    await stable.start()
    for news in (OPENED, REFUSED):
        say(stable.launched_workers[0], news)
    await stable.until(lambda: len(stable.launched_workers[1].received) == 2)
    await stable.workers.drain((), ("web",))
    stable.launched_workers[0].process.kill()
    await stable.until(lambda: len(stable.launched_workers) == 3 and stable.workers.active == 2)
    assert stable.launched_workers[2].start is not None
    assert [news.kind for news in stable.launched_workers[2].start.events] == ["opened"]


async def test_endpoints_are_told_by_whoever_answers_in_time(stable: Stable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "ANSWER_PATIENCE_S", 0.05)
    await stable.start()
    assert len(await stable.workers.endpoints()) == 2
    stable.launched_workers[0]._answer = lambda link, message: False  # type: ignore[method-assign]
    assert len(await stable.workers.endpoints()) == 1
    assert await stable.workers.drain(("web",)) == 1


async def test_stopped_workers_are_not_replaced(stable: Stable) -> None:
    await stable.start()
    assert await stable.workers.stop(0.0, 5.0)
    assert len(stable.launched_workers) == 2
    assert stable.restarts == 0
    assert [worker.received for worker in stable.launched_workers] == [[messages.Stop(0.0, 5.0)]] * 2


async def test_workers_that_stay_beyond_the_deadline_are_killed(
    stable: Stable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "STOP_MARGIN_S", 0.05)
    await stable.start()
    stable.launched_workers[0].stays = True
    assert not await stable.workers.stop(0.0, 0.0)
    assert stable.launched_workers[0].process.code == -9


async def test_garbage_on_the_bus_costs_the_worker_its_place(stable: Stable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.runtime.worker_process.ENDING_PATIENCE_S", 0.01)
    await stable.start(1)
    os.write(stable.launched_workers[0].end.fileno(), b"\x00\x00\x00\x02\xc1\xc1")
    await stable.until(lambda: len(stable.launched_workers) == 2 and stable.workers.active == 1)

"""All workers: kept alive, and moved together from one configuration to the next.

A reload has two phases: every worker prepares (compiles beside what runs), and only when all could does each activate.
A worker that ended is replaced after a pause; its successor starts with the last good configuration, never with the file.
One that became ready with an older configuration than the current is brought up to date on its own.

Each has listening sockets of its own. While one is not there (not ready yet, between two lives, or silent), the others
accept on its sockets too, so that nobody waits for it; what it had accepted is lost with it.

What one learns of an endpoint all others hear at once, and those that start later hear what still holds. What the operator has
drained is kept here, and given to each.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.clock import Clock
from gateway.core.tasks import Tasks
from gateway.observability.merge import Merged
from gateway.runtime import bus
from gateway.runtime.config_version import ConfigVersion
from gateway.runtime.launch import LaunchedWorker, Lifeline, launch_worker
from gateway.runtime.reaper import Reaper
from gateway.runtime.restart_backoff import RestartBackoff
from gateway.runtime.shared_ports import DataSockets
from gateway.runtime.state_broadcast import StateBroadcast
from gateway.runtime.worker_process import WorkerProcess

log = logging.getLogger(__name__)

PREPARE_PATIENCE_S = 30.0
ACTIVATE_PATIENCE_S = 10.0
ANSWER_PATIENCE_S = 1.0
LOOK_S = 1.0  # between two checks of the workers
LONGEST_START = 60  # checks: so long may one load before it serves
LONGEST_SILENCE = 10  # checks: a loop that has not turned for so long never will
DOUBTFUL_SILENCE = 3  # checks: then the others accept in its place
LONG_LIFE_S = 10.0  # whoever lived so long is replaced without much of a pause
STOP_MARGIN_S = 5.0  # beyond the deadline of a drain: cutting, flushing, closing


class StartError(Exception):
    """The first worker ended before it served."""


@dataclass(frozen=True, slots=True)
class WorkerFactory:
    """What it takes to raise a worker."""

    tasks: Tasks
    clock: Clock
    reaper: Reaper
    lifeline: Lifeline
    data: DataSockets
    launch: Callable[[Lifeline], LaunchedWorker] = launch_worker


class Workers:
    """The workers of one gateway. `on_restart` is called for each that is replaced, `on_fatal` if replacing fails."""

    def __init__(
        self, factory: WorkerFactory, merged: Merged, on_restart: Callable[[], None], on_fatal: Callable[[], None]
    ):
        self._factory = factory
        self._merged = merged
        self._on_restart = on_restart
        self._on_fatal = on_fatal
        self._living: list[WorkerProcess] = []
        self._slots: list[asyncio.Task[None]] = []  # one a worker, for as long as there should be one
        self._stopping = asyncio.Event()
        self._first_ready: asyncio.Future[bool] | None = None
        self._version: ConfigVersion | None = None
        self._children: dict[str, bus.ChildCondition] = {}
        self._drained: tuple[str, ...] = ()
        self._news = StateBroadcast(factory.clock)

    @property
    def wanted(self) -> int:
        """How many there should be."""
        return len(self._factory.data.by_worker)

    @property
    def active(self) -> int:
        """How many serve the current configuration."""
        return sum(self._is_current(worker) for worker in self._living)

    def pids(self) -> list[int]:
        """The process ids of those that live."""
        return [worker.pid for worker in self._living]

    async def start(self, version: ConfigVersion, first: LaunchedWorker) -> None:
        """Begin with `version`; the first process is launched already. Returns when it serves. Raises StartError.

        Its siblings are launched then: on few CPUs they would only delay it.
        """
        self._version = version
        self._first_ready = asyncio.get_running_loop().create_future()
        self._keep_one(1, first)
        self._factory.tasks.start(self._watch(), "life signs")
        if not await self._first_ready:
            raise StartError("the worker ended before it served")
        for number in range(2, self.wanted + 1):
            self._keep_one(number, None)

    async def prepare(self, version: ConfigVersion) -> list[str]:
        """Make every worker compile `version`; gives what went wrong, with the names of the workers."""
        workers = self._ready()
        found = await asyncio.gather(*(self._prepare(worker, version) for worker in workers))
        return [f"{worker.name} could not compile it: {one}" for worker, one in zip(workers, found, strict=True) if one]

    def discard(self, version: ConfigVersion) -> None:
        """Make every worker forget what it prepared."""
        for worker in self._living:
            worker.prepared = 0
            worker.tell(bus.Discard(version.generation))

    async def activate(self, version: ConfigVersion) -> None:
        """Make `version` the current configuration everywhere; a worker that can't is replaced."""
        self._version = version
        await asyncio.gather(*(self._bring_up_to_date(worker, version) for worker in self._ready()))

    def child_changed(self, provider: str, condition: bus.ChildCondition) -> None:
        """Tell all workers, now and later, about the server that the gateway runs for `provider`."""
        self._children[provider] = condition
        for worker in self._living:
            worker.tell(bus.ChildState(provider, condition))

    async def drain(self, names: tuple[str, ...], forgiven: tuple[str, ...] = ()) -> int:
        """Let all workers, now and later, drain the endpoints of these names and no others; `forgiven` as in `bus.Drain`.

        Gives how many have done so.
        """
        self._drained = names
        if forgiven:
            self._news.forget_keys()
        order = bus.Drain(names, forgiven)
        for worker in self._living:
            if not worker.generation:  # it starts with an older list, and hears this one when it can
                worker.tell(order)
        answers = await asyncio.gather(*(worker.ask(order, ANSWER_PATIENCE_S) for worker in self._ready()))
        return sum(isinstance(answer, bus.Drained) for answer in answers)

    async def endpoints(self) -> list[bus.Endpoints]:
        """What the workers say about their endpoints and pools."""
        workers = self._ready()
        answers = await asyncio.gather(*(worker.ask(bus.AskEndpoints(), ANSWER_PATIENCE_S) for worker in workers))
        return [answer for answer in answers if isinstance(answer, bus.Endpoints)]

    async def collect_metrics(self) -> None:
        """Bring the merged metrics up to date; a worker that does not answer in time keeps what it last said."""
        await asyncio.gather(*(worker.ask(bus.AskMetrics(), ANSWER_PATIENCE_S) for worker in self._ready()))

    async def health(self) -> list[bus.Health]:
        """What the workers say about their circuits and what they have in flight."""
        answers = await asyncio.gather(*(worker.ask(bus.AskHealth(), ANSWER_PATIENCE_S) for worker in self._ready()))
        return [answer for answer in answers if isinstance(answer, bus.Health)]

    async def stop(self, grace_s: float, deadline_s: float) -> bool:
        """Let all finish and end; gives whether each did so by itself."""
        self._stopping.set()
        for worker in self._living:
            worker.tell(bus.Stop(grace_s, deadline_s))
        if not self._slots:
            return True
        _, late = await asyncio.wait(self._slots, timeout=max(grace_s, deadline_s) + STOP_MARGIN_S)
        if not late:
            return True
        log.error("workers did not end by the drain deadline and are killed", extra={"pids": self.pids()})
        self.kill()
        await asyncio.wait(late)
        return False

    def kill(self) -> None:
        """End all at once."""
        self._stopping.set()
        for worker in self._living:
            worker.kill()

    def _keep_one(self, number: int, launched: LaunchedWorker | None) -> None:
        self._slots.append(self._factory.tasks.start(self._keep(number, launched), f"worker-{number}"))

    async def _keep(self, number: int, launched: LaunchedWorker | None) -> None:
        """Keep one worker alive until `stop`."""
        pauses = RestartBackoff(self._factory.clock, LONG_LIFE_S)
        try:
            while not self._stopping.is_set():
                pauses.begin()
                await self._live_once(number, launched or self._factory.launch(self._factory.lifeline))
                launched = None
                if self._stopping.is_set():
                    return
                self._on_restart()
                if await self._stopped_within(pauses.after_end()):
                    return
        finally:
            self._no_longer_awaited()
            if not self._stopping.is_set():
                self._on_fatal()

    async def _live_once(self, number: int, launched: LaunchedWorker) -> None:
        assert self._version is not None
        version, data = self._version, self._factory.data
        worker = WorkerProcess(number, launched, self._heard)
        self._living.append(worker)
        worker.accepts = self._doors_of(worker)
        start = bus.Start(
            number=number,
            generation=version.generation,
            spec=version.encoded,
            addresses=dict(version.addresses),
            children=dict(self._children),
            entries=data.entries,
            accept=worker.accepts,
            drained=self._drained,
            news=self._news.current(),
        )
        try:
            code = await worker.live(start, data.sockets, self._factory.reaper)
        finally:
            self._living.remove(worker)
            self._merged.retire(worker.name)
            self._share_doors()
        if self._no_longer_awaited():
            return
        if not self._stopping.is_set():
            log.error("worker ended, will be replaced", extra={"worker": worker.name, "exit_code": code})

    def _no_longer_awaited(self) -> bool:
        """End the wait for the first worker, where there still is one: well only if all is to stop."""
        if self._first_ready is None or self._first_ready.done():
            return False
        self._first_ready.set_result(self._stopping.is_set())
        return True

    async def _stopped_within(self, pause_s: float) -> bool:
        try:
            await asyncio.wait_for(self._stopping.wait(), pause_s)
        except TimeoutError:
            return False
        return True

    def _heard(self, worker: WorkerProcess, message: bus.ToControl) -> None:
        match message:
            case bus.Ready(generation=generation):
                worker.generation = generation
                if self._stopping.is_set():
                    return
                self._share_doors()
                if self._version is not None and not self._is_current(worker):
                    work = self._bring_up_to_date(worker, self._version)
                    self._factory.tasks.start(work, f"catch-up {worker.name}")
                if self._first_ready is not None and not self._first_ready.done():
                    self._first_ready.set_result(True)
            case bus.News():
                self._news.note(message)
                for other in self._living:
                    if other is not worker:
                        other.tell(message)
            case bus.Metrics(snapshot=snapshot):
                self._merged.update(worker.name, snapshot)
            case _:
                pass

    async def _prepare(self, worker: WorkerProcess, version: ConfigVersion) -> str:
        """Make it compile `version`; gives what went wrong, "" for nothing."""
        question = bus.Prepare(version.generation, version.encoded, dict(version.addresses))
        answer = await worker.ask(question, PREPARE_PATIENCE_S)
        if not isinstance(answer, bus.Prepared):
            return "it ended or did not answer"
        if not answer.problem:
            worker.prepared = version.generation
        return answer.problem

    async def _bring_up_to_date(self, worker: WorkerProcess, version: ConfigVersion) -> None:
        if worker.prepared != version.generation and await self._prepare(worker, version):
            worker.kill()
            return
        if await worker.ask(bus.Activate(version.generation), ACTIVATE_PATIENCE_S) is None:
            worker.kill()
            return
        worker.generation = version.generation

    async def _watch(self) -> None:
        """Kill workers whose loop has stood still for long; in checks, not seconds, lest a pause of our own count."""
        while True:
            await asyncio.sleep(LOOK_S)
            for worker in self._living:
                worker.silent_for += 1
                if worker.silent_for > (LONGEST_SILENCE if worker.generation else LONGEST_START):
                    log.error("worker gives no life sign and is killed", extra={"worker": worker.name})
                    worker.kill()
            self._share_doors()

    def _share_doors(self) -> None:
        """Let each accept on its own listening sockets, and on those of whoever is not there."""
        if self._stopping.is_set():
            return
        for worker in self._living:
            acceptors = self._doors_of(worker)
            if acceptors != worker.accepts:
                worker.accepts = acceptors
                worker.tell(bus.Accept(acceptors))

    def _doors_of(self, worker: WorkerProcess) -> tuple[int, ...]:
        present = {one.number for one in self._ready() if one.silent_for <= DOUBTFUL_SILENCE}
        shares = self._factory.data.by_worker
        kept = {acceptor for number, share in enumerate(shares, 1) if number in present for acceptor in share}
        mine = set(shares[worker.number - 1])
        return tuple(sorted(mine | (set(range(len(self._factory.data.sockets))) - kept)))

    def _ready(self) -> list[WorkerProcess]:
        return [worker for worker in self._living if worker.generation]

    def _is_current(self, worker: WorkerProcess) -> bool:
        return self._version is not None and worker.generation == self._version.generation

"""All workers: kept running, watched, and replaced.

A worker that ended is replaced after a pause; its successor starts with the last good configuration, never with the file.
How workers move to another configuration stands in `rollout.py`.

Each worker has listening sockets of its own. While one is absent (not ready yet, between two processes, or silent), the
others accept on its sockets too, so that no client waits for it; connections that it had accepted are lost with it.

What one worker learns about an endpoint reaches all others at once, and later workers while it still holds. So do the
endpoints that the operator has drained (`shared_state.py`).
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.clock import Clock
from gateway.core.tasks import Tasks
from gateway.observability.merge import Merged
from gateway.runtime import messages
from gateway.runtime.config_version import ConfigVersion
from gateway.runtime.launch import LaunchedWorker, Lifeline, launch_worker
from gateway.runtime.reaper import Reaper
from gateway.runtime.restart_backoff import RestartBackoff
from gateway.runtime.rollout import Rollout
from gateway.runtime.shared_ports import DataSockets
from gateway.runtime.shared_state import SharedState
from gateway.runtime.worker_process import WorkerProcess

log = logging.getLogger(__name__)

ANSWER_PATIENCE_S = 1.0
CHECK_S = 1.0  # between two checks of the workers
MAX_START_CHECKS = 60  # a worker that does not serve after so many checks is killed
MAX_SILENT_CHECKS = 10  # a loop that has not run for so many checks never will
DOUBTFUL_SILENT_CHECKS = 3  # from then on the others accept in its place
LONG_LIFE_S = 10.0  # a worker that ran for so long is replaced after the first, short pause
STOP_MARGIN_S = 5.0  # after the deadline of a drain: cutting, flushing, closing


class StartError(Exception):
    """The first worker ended before it served."""


@dataclass(frozen=True, slots=True)
class WorkerFactory:
    """What is needed to start and run a worker process."""

    tasks: Tasks
    clock: Clock
    reaper: Reaper
    lifeline: Lifeline
    sockets: DataSockets
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
        self._processes: list[WorkerProcess] = []
        self._slots: list[asyncio.Task[None]] = []  # each keeps one worker running
        self._stopping = asyncio.Event()
        self._first_ready: asyncio.Future[bool] | None = None
        self._rollout = Rollout(self._ready)
        self._shared = SharedState(factory.clock)

    @property
    def wanted(self) -> int:
        """The configured number of workers."""
        return len(self._factory.sockets.by_worker)

    @property
    def active(self) -> int:
        """The number of workers that serve the current configuration."""
        return sum(self._rollout.is_current(worker) for worker in self._processes)

    def pids(self) -> list[int]:
        """Return the process ids of the running workers."""
        return [worker.pid for worker in self._processes]

    async def start(self, version: ConfigVersion, first: LaunchedWorker) -> None:
        """Start with `version`; the first process is launched already. Returns when it serves. Raises StartError.

        The other workers are launched then: on few CPUs they would only delay the first.
        """
        self._rollout.version = version
        self._first_ready = asyncio.get_running_loop().create_future()
        self._open_slot(1, first)
        self._factory.tasks.start(self._watch(), "life signs")
        if not await self._first_ready:
            raise StartError("the worker ended before it served")
        for number in range(2, self.wanted + 1):
            self._open_slot(number, None)

    async def prepare(self, version: ConfigVersion) -> list[str]:
        """Make every worker compile `version`. Return the problems, with the names of the workers."""
        return await self._rollout.prepare(version)

    def discard(self, version: ConfigVersion) -> None:
        """Make every worker forget what it prepared."""
        for worker in self._processes:
            worker.prepared = 0
            worker.send(messages.Discard(version.generation))

    async def activate(self, version: ConfigVersion) -> None:
        """Make `version` the current configuration everywhere; a worker that can't is replaced."""
        await self._rollout.activate(version)

    def child_changed(self, provider: str, condition: messages.ChildCondition) -> None:
        """Send the condition of the server that the gateway runs for `provider` to all workers, now and later."""
        self._shared.children[provider] = condition
        self._broadcast(messages.ChildState(provider, condition))

    async def drain(self, names: tuple[str, ...], reset: tuple[str, ...] = ()) -> int:
        """Make all workers, now and later, drain the endpoints of these names and no others; `reset` as in `Drain`.

        Return how many have done so.
        """
        self._shared.drained = names
        if reset:
            self._shared.events.remove_refused_keys()
        order = messages.Drain(names, reset)
        for worker in self._processes:
            if not worker.generation:  # its start may hold the list of before
                worker.send(order)
        answers = await self._ask_all(order)
        return sum(isinstance(answer, messages.Drained) for answer in answers)

    async def endpoints(self) -> list[messages.Endpoints]:
        """Return the workers' views of their endpoints and pools."""
        return [one for one in await self._ask_all(messages.AskEndpoints()) if isinstance(one, messages.Endpoints)]

    async def collect_metrics(self) -> None:
        """Bring the merged metrics up to date; of a worker that does not answer in time the last ones stay."""
        await self._ask_all(messages.AskMetrics())

    async def health(self) -> list[messages.Health]:
        """Return the workers' circuits and in-flight counts."""
        return [one for one in await self._ask_all(messages.AskHealth()) if isinstance(one, messages.Health)]

    async def stop(self, grace_s: float, deadline_s: float) -> bool:
        """Let all workers finish and end. Return whether each did so by itself."""
        self._stopping.set()
        self._broadcast(messages.Stop(grace_s, deadline_s))
        if not self._slots:
            return True
        _, late = await asyncio.wait(self._slots, timeout=max(grace_s, deadline_s) + STOP_MARGIN_S)
        if not late:
            return True
        log.error("workers did not end by the drain deadline; killing them", extra={"pids": self.pids()})
        self.kill()
        await asyncio.wait(late)
        return False

    def kill(self) -> None:
        """End all workers at once."""
        self._stopping.set()
        for worker in self._processes:
            worker.kill()

    def _open_slot(self, number: int, launched: LaunchedWorker | None) -> None:
        self._slots.append(self._factory.tasks.start(self._keep_running(number, launched), f"worker-{number}"))

    async def _keep_running(self, number: int, launched: LaunchedWorker | None) -> None:
        """Run one worker process after another until `stop`."""
        backoff = RestartBackoff(self._factory.clock, LONG_LIFE_S)
        try:
            while not self._stopping.is_set():
                backoff.note_start()
                await self._run_once(number, launched or self._factory.launch(self._factory.lifeline))
                launched = None
                if self._stopping.is_set():
                    return
                self._on_restart()
                if await self._is_stopped_within(backoff.next_pause_s()):
                    return
        finally:
            self._end_first_wait()
            if not self._stopping.is_set():
                self._on_fatal()

    async def _run_once(self, number: int, launched: LaunchedWorker) -> None:
        version, sockets = self._rollout.version, self._factory.sockets
        assert version is not None
        worker = WorkerProcess(number, launched, self._handle_message)
        self._processes.append(worker)
        worker.accepts = self._listeners_of(worker)
        start = messages.Start(
            number=number,
            workers=self.wanted,
            generation=version.generation,
            spec=version.encoded,
            addresses=dict(version.addresses),
            children=dict(self._shared.children),
            entries=sockets.entries,
            accept=worker.accepts,
            drained=self._shared.drained,
            events=self._shared.events.current(),
        )
        try:
            code = await worker.run(start, sockets.sockets, self._factory.reaper)
        finally:
            self._processes.remove(worker)
            self._merged.retire(worker.name)
            self._share_listeners()
        if self._end_first_wait():
            return
        if not self._stopping.is_set():
            log.error("worker ended, will be replaced", extra={"worker": worker.name, "exit_code": code})

    def _end_first_wait(self) -> bool:
        """End the wait for the first worker, where `start` still waits; without an error only during a stop."""
        if self._first_ready is None or self._first_ready.done():
            return False
        self._first_ready.set_result(self._stopping.is_set())
        return True

    async def _is_stopped_within(self, pause_s: float) -> bool:
        try:
            await asyncio.wait_for(self._stopping.wait(), pause_s)
        except TimeoutError:
            return False
        return True

    def _handle_message(self, worker: WorkerProcess, message: messages.ToControl) -> None:
        match message:
            case messages.Ready(generation=generation):
                worker.generation = generation
                if self._stopping.is_set():
                    return
                self._share_listeners()
                if not self._rollout.is_current(worker):
                    self._factory.tasks.start(self._rollout.bring_up_to_date(worker), f"catch-up {worker.name}")
                if self._first_ready is not None and not self._first_ready.done():
                    self._first_ready.set_result(True)
            case messages.EndpointEvent():
                self._shared.events.add(message)
                self._broadcast(message, but=worker)
            case messages.Metrics(snapshot=snapshot):
                self._merged.update(worker.name, snapshot)
            case _:
                pass

    def _broadcast(self, message: messages.ToWorker, but: WorkerProcess | None = None) -> None:
        for worker in self._processes:
            if worker is not but:
                worker.send(message)

    async def _ask_all(self, question: messages.Question) -> list[messages.Answer | None]:
        """Ask all ready workers, and return their answers; None for a worker that does not answer in time."""
        return await asyncio.gather(*(worker.ask(question, ANSWER_PATIENCE_S) for worker in self._ready()))

    async def _watch(self) -> None:
        """Kill workers whose loop stands still. Counted in checks, not seconds, so that a pause of control does not count."""
        while True:
            await asyncio.sleep(CHECK_S)
            for worker in self._processes:
                worker.silent_checks += 1
                if worker.silent_checks > (MAX_SILENT_CHECKS if worker.generation else MAX_START_CHECKS):
                    log.error("worker stopped responding; killing it", extra={"worker": worker.name})
                    worker.kill()
            self._share_listeners()

    def _share_listeners(self) -> None:
        """Make each worker accept on its own listening sockets, and on those of absent workers."""
        if self._stopping.is_set():
            return
        for worker in self._processes:
            accepts = self._listeners_of(worker)
            if accepts != worker.accepts:
                worker.accepts = accepts
                worker.send(messages.Accept(accepts))

    def _listeners_of(self, worker: WorkerProcess) -> tuple[int, ...]:
        sockets = self._factory.sockets
        present = {one.number for one in self._ready() if one.silent_checks <= DOUBTFUL_SILENT_CHECKS}
        kept = {index for number, own in enumerate(sockets.by_worker, 1) if number in present for index in own}
        own = set(sockets.by_worker[worker.number - 1])
        return tuple(sorted(own | (set(range(len(sockets.sockets))) - kept)))

    def _ready(self) -> list[WorkerProcess]:
        return [worker for worker in self._processes if worker.generation]

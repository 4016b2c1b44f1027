"""Move workers from one configuration to the next, in two phases.

Every worker prepares (compiles beside what it serves), and only when all could does each activate. A worker that became
ready with an older configuration, or that has lost what it prepared, is brought up to date on its own. That may overlap
with the next reload: a worker keeps the configuration that it prepared last, and its answer to Activate says which
generation it serves. Where that is not the current one, the worker prepares again; it is not killed for that.
"""

import asyncio
from collections.abc import Callable, Sequence

from gateway.runtime import messages
from gateway.runtime.config_version import ConfigVersion
from gateway.runtime.worker_process import WorkerProcess

PREPARE_PATIENCE_S = 30.0
ACTIVATE_PATIENCE_S = 40.0  # the answer may have to wait until another configuration is compiled


class Rollout:
    """Holds the current configuration. `ready` returns the workers that serve."""

    def __init__(self, ready: Callable[[], Sequence[WorkerProcess]]) -> None:
        self._ready = ready
        self.version: ConfigVersion | None = None

    async def prepare(self, version: ConfigVersion) -> list[str]:
        """Make every worker compile `version`. Return the problems, with the names of the workers."""
        workers = self._ready()
        problems = await asyncio.gather(*(self._prepare(worker, version) for worker in workers))
        pairs = zip(workers, problems, strict=True)
        return [f"{worker.name} could not compile it: {problem}" for worker, problem in pairs if problem]

    async def activate(self, version: ConfigVersion) -> None:
        """Make `version` the current configuration everywhere; a worker that does not answer is replaced."""
        self.version = version
        await asyncio.gather(*(self.bring_up_to_date(worker) for worker in self._ready()))

    def is_current(self, worker: WorkerProcess) -> bool:
        """Return whether a worker serves the current configuration."""
        return self.version is not None and worker.generation == self.version.generation

    async def bring_up_to_date(self, worker: WorkerProcess) -> None:
        """Move one worker to the current configuration, also where that changes meanwhile.

        Kill a worker that does not answer in time, or can't compile a configuration that its siblings could.
        """
        while (version := self.version) is not None and not self.is_current(worker):
            if worker.prepared != version.generation and await self._prepare(worker, version):
                worker.kill()
                return
            answer = await worker.ask(messages.Activate(version.generation), ACTIVATE_PATIENCE_S)
            if not isinstance(answer, messages.Activated):
                worker.kill()
                return
            worker.generation = answer.generation
            worker.prepared = 0

    async def _prepare(self, worker: WorkerProcess, version: ConfigVersion) -> str:
        """Make one worker compile `version`. Return the problem, "" for none."""
        question = messages.Prepare(version.generation, version.encoded, dict(version.addresses))
        answer = await worker.ask(question, PREPARE_PATIENCE_S)
        if not isinstance(answer, messages.Prepared):
            return "it ended or did not answer"
        if not answer.problem:
            worker.prepared = version.generation
        return answer.problem

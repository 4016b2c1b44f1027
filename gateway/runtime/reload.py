"""Replace the configuration by the one in the files, or refuse it.

A reload is requested by SIGHUP, by `POST /admin/reload` (as `gateway reload` does), and, where `server.watch` is true, by
a change of the files. Requests during a reload share the next one. A reload reads, checks and compiles the configuration
in a thread; a bad configuration, or a change of the static part, changes nothing.

A reload by signal or by the admin API makes a new generation even where the text is the same: a file that the text refers
to (`${file:…}`) may have changed. A change of files that leaves the text as it is keeps the generation, and is logged only
where the reload before it was refused.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from gateway.config.load import Loaded
from gateway.config.static import static_changes
from gateway.core.clock import Clock
from gateway.core.problem import ConfigError, Place, Problem
from gateway.observability.logging import iso_time
from gateway.observability.metrics import Metrics

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a reload. `generation`: the one in force after it, on `active` of `workers` workers."""

    ok: bool
    generation: int
    at: float  # wall seconds
    active: int
    workers: int
    problems: tuple[Problem, ...] = ()
    static: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the outcome as a JSON document."""
        return {
            "ok": self.ok,
            "generation": self.generation,
            "at": iso_time(self.at),
            "active": self.active,
            "workers": self.workers,
            "problems": [_document(problem) for problem in self.problems],
            "static": list(self.static),
        }


@dataclass(frozen=True, slots=True)
class WorkerCounts:
    """The number of workers that serve the current configuration, and of all workers."""

    active: int
    workers: int


class Reloader:
    """Holds the configuration in force, and replaces it.

    `load` reads, checks and compiles the files (blocking, raises ConfigError). `apply` brings a configuration to the
    workers under a generation, and returns the problems; with any, nothing has changed.
    """

    def __init__(
        self,
        first: Loaded,
        *,
        load: Callable[[], Loaded],
        apply: Callable[[Loaded, int], Awaitable[Sequence[str]]],
        count_workers: Callable[[], WorkerCounts],
        executor: Executor,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.current = first
        self.generation = 1
        self.loaded_at = clock.wall()
        self.last: Outcome | None = None
        self._load = load
        self._apply = apply
        self._count_workers = count_workers
        self._executor = executor
        self._clock = clock
        self._metrics = metrics
        self._waiting: list[asyncio.Future[Outcome]] = []
        self._wanted = asyncio.Event()
        self._is_explicit = False
        metrics.config_generation.value = 1
        metrics.config_last_reload_ok.value = 1

    def request(self, *, is_explicit: bool) -> asyncio.Future[Outcome]:
        """Request a reload. Return a future with its outcome. Not `is_explicit`: only files may have changed."""
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append(outcome)
        self._is_explicit = self._is_explicit or is_explicit
        self._wanted.set()
        return outcome

    async def run(self) -> None:
        """Run the requested reloads, one at a time, for ever."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            waiting, self._waiting = self._waiting, []
            is_explicit, self._is_explicit = self._is_explicit, False
            try:
                outcome = await self._reload(is_explicit)
            except Exception:
                log.exception("reload failed for an internal error")
                outcome = self._refuse((Problem(Place(), "", "internal error, see the log"),))
            if is_explicit or self._is_worth_logging(outcome):
                self._record(outcome)
            for one in waiting:
                if not one.done():
                    one.set_result(outcome)

    async def _reload(self, is_explicit: bool) -> Outcome:
        try:
            loaded = await asyncio.get_running_loop().run_in_executor(self._executor, self._load)
        except ConfigError as error:
            return self._refuse(error.problems)
        if not is_explicit and loaded.spec.digest == self.current.spec.digest:
            return self._outcome(ok=True)
        static = static_changes(self.current.spec, loaded.spec)
        if static:
            return self._refuse((), tuple(static))
        problems = await self._apply(loaded, self.generation + 1)
        if problems:
            return self._refuse(tuple(Problem(Place(), "", problem) for problem in problems))
        self.current = loaded
        self.generation += 1
        self.loaded_at = self._clock.wall()
        warn(loaded)
        return self._outcome(ok=True)

    def _is_worth_logging(self, outcome: Outcome) -> bool:
        is_same = outcome.ok and outcome.generation == self._metrics.config_generation.value
        return not is_same or (self.last is not None and not self.last.ok)

    def _refuse(self, problems: tuple[Problem, ...], static: tuple[str, ...] = ()) -> Outcome:
        for problem in problems:
            fields = {"place": str(problem.place), "path": problem.path, "problem": problem.message}
            log.error("configuration problem", extra=fields)
        for name in static:
            log.error("static setting can't be changed by a reload, only by a restart", extra={"path": name})
        return self._outcome(ok=False, problems=problems, static=static)

    def _outcome(self, *, ok: bool, problems: tuple[Problem, ...] = (), static: tuple[str, ...] = ()) -> Outcome:
        counts = self._count_workers()
        return Outcome(ok, self.generation, self._clock.wall(), counts.active, counts.workers, problems, static)

    def _record(self, outcome: Outcome) -> None:
        self.last = outcome
        self._metrics.config_generation.value = self.generation
        self._metrics.config_last_reload_ok.value = int(outcome.ok)
        self._metrics.config_reloads["ok" if outcome.ok else "refused"].value += 1
        fields = {"generation": outcome.generation, "active": outcome.active, "workers": outcome.workers}
        if outcome.ok:
            log.info(
                f"config {outcome.generation} active on {outcome.active} of {outcome.workers} workers", extra=fields
            )
        else:
            log.error("configuration refused, the one in force stays", extra=fields)


def warn(loaded: Loaded) -> None:
    """Log the warnings of a configuration."""
    for warning in loaded.warnings:
        fields = {"place": str(warning.place), "path": warning.path, "problem": warning.message}
        log.warning("configuration warning", extra=fields)


def _document(problem: Problem) -> dict[str, Any]:
    place = problem.place
    return {
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "path": problem.path,
        "message": problem.message,
    }

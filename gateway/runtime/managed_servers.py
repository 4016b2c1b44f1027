"""The servers that the gateway runs itself, one for each provider of a kind that needs one: started, watched, restarted.

A child is *warming* from its start until its socket answers `GET /health` with 200, then *up* until its process ends;
between its end and its next start, and once it is given up, it is *down*. Pauses before a restart double from 0.1 s to
30 s and begin anew after a minute of life. A child that says that a package is missing is given up, until a reload.

A reload starts what is new beside what runs (`plan`), then lets go of what the configuration no longer names (`keep`):
requests that run on the old configuration have `drain.deadline` to finish before its children end. A provider whose
settings changed gets a new child at a new address.
"""

import asyncio
import logging
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.config.spec import Spec
from gateway.core.clock import Clock
from gateway.core.tasks import Tasks
from gateway.runtime.bus import ChildCondition
from gateway.runtime.launch import Lifeline, launch
from gateway.runtime.reaper import Reaper, end
from gateway.runtime.restart_backoff import RestartBackoff

log = logging.getLogger(__name__)

MISSING_PACKAGE = 3  # exit code: an optional package is not installed; what is missing stands on stderr

PROBE_S = 0.05  # between two looks at a warming child; doubles up to
SLOWEST_PROBE_S = 0.5
PROBE_PATIENCE_S = 2.0
STOP_PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that makes two children the same: a provider that keeps its recipe keeps its child."""

    provider: str
    module: str
    options: tuple[str, ...]


class ManagedServer:
    """One server process after another at one address. `on_change` hears of every new `condition`."""

    def __init__(
        self, recipe: Recipe, path: Path, run: "ChildContext", on_change: Callable[["ManagedServer"], None]
    ) -> None:
        self.recipe = recipe
        self.path = path
        self.condition: ChildCondition = "warming"
        self.is_given_up = False
        self.pid = 0  # of the running process; 0 between two
        self._run = run
        self._on_change = on_change
        self._task: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        return f"unix:{self.path}"

    def start(self) -> None:
        """Begin to run it, until `stop`."""
        self._task = self._run.tasks.start(self._live(), f"child {self.recipe.provider}")

    async def stop(self) -> None:
        """End its process, politely first. May be called again, by somebody else: both wait for the end."""
        if self._task is not None:
            if not self._task.cancelling():  # a second cancellation would cut the burial short
                self._task.cancel()
            await asyncio.wait([self._task])

    async def _live(self) -> None:
        pauses = RestartBackoff(self._run.clock)
        while True:
            pauses.begin()
            code = await self._live_once()
            name = self.recipe.provider
            if code == MISSING_PACKAGE:
                self.is_given_up = True
                log.warning("provider is off: its server needs an optional package", extra={"provider": name})
                return
            pause_s = pauses.after_end()
            log.warning(
                "server of provider ended, will be restarted",
                extra={"provider": name, "exit_code": code, "pause_s": pause_s},
            )
            await asyncio.sleep(pause_s)

    async def _live_once(self) -> int:
        self._change("warming")
        self.path.unlink(missing_ok=True)
        read_fd = self._run.lifeline.read_fd
        options = ["--socket", str(self.path), "--lifeline", str(read_fd), *self.recipe.options]
        process = launch(self.recipe.module, options, [read_fd])
        self.pid = process.pid
        warm_up = self._run.tasks.start(self._warm_up(), f"warm-up {self.recipe.provider}")
        try:
            return await self._run.reaper.wait(process)
        finally:
            warm_up.cancel()
            self.pid = 0
            self._change("down")
            await self._bury(process)

    async def _bury(self, process: subprocess.Popen[bytes]) -> None:
        """End the process where it still runs: we were cancelled, not it."""
        await end(self._run.reaper, process, STOP_PATIENCE_S)
        self.path.unlink(missing_ok=True)

    async def _warm_up(self) -> None:
        pause_s = PROBE_S
        while not await is_healthy(self.path):
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, SLOWEST_PROBE_S)
        self._change("up")
        log.info("server of provider is up", extra={"provider": self.recipe.provider, "pid": self.pid})

    def _change(self, condition: ChildCondition) -> None:
        if condition != self.condition:
            self.condition = condition
            self._on_change(self)


@dataclass(frozen=True, slots=True)
class ChildContext:
    """What children need of the process that runs them."""

    tasks: Tasks
    clock: Clock
    reaper: Reaper
    lifeline: Lifeline
    folder: Path  # private, short: holds their sockets
    modules: Mapping[str, str]  # kind → the module that is its server


class ManagedServers:
    """All children, by provider. None runs before `release`: the first worker comes first.

    `on_change(provider, condition)` hears of those that the current configuration names.
    """

    def __init__(self, run: ChildContext, on_change: Callable[[str, ChildCondition], None]) -> None:
        self._run = run
        self._on_change = on_change
        self._living: dict[Recipe, ManagedServer] = {}
        self._retiring: set[ManagedServer] = set()
        self._current: frozenset[Recipe] = frozenset()
        self._count = 0
        self._is_released = False

    def release(self) -> None:
        """Let what is planned run, now and later."""
        self._is_released = True
        for child in self._living.values():
            child.start()

    def plan(self, spec: Spec) -> dict[str, str]:
        """Start what `spec` needs and does not run yet; gives provider → address."""
        addresses: dict[str, str] = {}
        for recipe in self._recipes(spec):
            child = self._living.get(recipe)
            if child is None or child.is_given_up:
                child = self._start(recipe)
            addresses[recipe.provider] = child.address
        return addresses

    def keep(self, spec: Spec, linger_s: float = 0.0) -> None:
        """Make `spec` the current configuration: what it does not name is stopped after `linger_s`."""
        self._current = frozenset(self._recipes(spec))
        for recipe in self._living.keys() - self._current:
            child = self._living.pop(recipe)
            self._retiring.add(child)
            self._run.tasks.start(self._retire(child, linger_s), f"retire {recipe.provider}")
        for recipe in self._current:
            self._tell(self._living[recipe])

    def conditions(self) -> dict[str, ChildCondition]:
        """Provider → condition of its child, for the current configuration."""
        return {child.recipe.provider: child.condition for child in self._living.values() if self._is_current(child)}

    def pids(self) -> dict[str, int]:
        """Provider → process id of its child; 0 while it has none."""
        return {child.recipe.provider: child.pid for child in self._living.values() if self._is_current(child)}

    async def close(self) -> None:
        """Stop them all."""
        children = [*self._living.values(), *self._retiring]
        self._living.clear()
        await asyncio.gather(*(child.stop() for child in children))

    def _recipes(self, spec: Spec) -> list[Recipe]:
        return recipes(spec, self._run.modules)

    def _start(self, recipe: Recipe) -> ManagedServer:
        self._count += 1
        child = ManagedServer(recipe, self._run.folder / f"child-{self._count}.sock", self._run, self._tell)
        self._living[recipe] = child
        if self._is_released:
            child.start()
        return child

    async def _retire(self, child: ManagedServer, linger_s: float) -> None:
        await asyncio.sleep(linger_s)
        await child.stop()
        self._retiring.discard(child)

    def _tell(self, child: ManagedServer) -> None:
        if self._is_current(child):
            self._on_change(child.recipe.provider, child.condition)

    def _is_current(self, child: ManagedServer) -> bool:
        return child.recipe in self._current and self._living.get(child.recipe) is child


def recipes(spec: Spec, modules: Mapping[str, str]) -> list[Recipe]:
    """The children that a configuration needs: one for each provider of such a kind that a model names."""
    used = {model.provider for model in spec.models.values()}
    needed = (one for one in spec.providers.values() if one.is_on and one.name in used and one.kind in modules)
    return [Recipe(one.name, modules[one.kind], _options(one.settings)) for one in needed]


def _options(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the command line of a server. `speaks` is how the gateway asks; the server takes every dialect it has."""
    told = sorted((name, value) for name, value in settings.items() if name != "speaks")
    return tuple(part for name, value in told for part in (f"--{name}", str(value)))


async def is_healthy(path: Path) -> bool:
    """Whether the server on this Unix socket answers `GET /health` with 200."""
    try:
        async with asyncio.timeout(PROBE_PATIENCE_S):
            reader, writer = await asyncio.open_unix_connection(os.fspath(path))
            try:
                writer.write(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                status = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return False
    return status.split(b" ")[1:2] == [b"200"]

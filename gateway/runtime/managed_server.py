"""One server that the gateway runs itself: its process, its restarts, its health.

A child is *warming* from its start until its socket answers `GET /health` with 200, then *up* until its process ends;
between its end and its next start, and once it is given up, it is *down*. Pauses before a restart double from 0.1 s to
30 s and begin anew after a minute. A child that exits for a missing package is given up, until a reload.
"""

import asyncio
import logging
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.core.clock import Clock
from gateway.core.tasks import Tasks
from gateway.runtime.launch import Lifeline, launch
from gateway.runtime.lifeline import MISSING_PACKAGE
from gateway.runtime.messages import ChildCondition
from gateway.runtime.reaper import Reaper, end
from gateway.runtime.restart_backoff import RestartBackoff

log = logging.getLogger(__name__)

PROBE_S = 0.05  # between two probes of a warming child; doubles up to
SLOWEST_PROBE_S = 0.5
PROBE_PATIENCE_S = 2.0
STOP_PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of a child: a provider whose recipe stays the same keeps its child."""

    provider: str
    module: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChildContext:
    """The parts of control that children use."""

    tasks: Tasks
    clock: Clock
    reaper: Reaper
    lifeline: Lifeline
    folder: Path  # private, short: holds their sockets
    modules: Mapping[str, str]  # kind → the module that is its server


class ManagedServer:
    """One server process after another at one address. `on_change` is called for every new `condition`."""

    def __init__(
        self, recipe: Recipe, path: Path, context: ChildContext, on_change: Callable[["ManagedServer"], None]
    ) -> None:
        self.recipe = recipe
        self.path = path
        self.condition: ChildCondition = "warming"
        self.is_given_up = False
        self.pid = 0  # of the running process; 0 between two
        self._context = context
        self._on_change = on_change
        self._task: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        return f"unix:{self.path}"

    def start(self) -> None:
        """Run it until `stop`."""
        self._task = self._context.tasks.start(self._keep_running(), f"child {self.recipe.provider}")

    async def stop(self) -> None:
        """End its process, by SIGTERM first. May be called twice at the same time: both calls wait for the end."""
        if self._task is not None:
            if not self._task.cancelling():  # a second cancellation would cut `_end` short
                self._task.cancel()
            await asyncio.wait([self._task])

    async def _keep_running(self) -> None:
        backoff = RestartBackoff(self._context.clock)
        while True:
            backoff.note_start()
            code = await self._run_once()
            name = self.recipe.provider
            if code == MISSING_PACKAGE:
                self.is_given_up = True
                log.warning("provider is off: its server needs an optional package", extra={"provider": name})
                return
            pause_s = backoff.next_pause_s()
            log.warning(
                "server of provider ended, will be restarted",
                extra={"provider": name, "exit_code": code, "pause_s": pause_s},
            )
            await asyncio.sleep(pause_s)

    async def _run_once(self) -> int:
        self._change("warming")
        self.path.unlink(missing_ok=True)
        read_fd = self._context.lifeline.read_fd
        options = ["--socket", str(self.path), "--lifeline", str(read_fd), *self.recipe.options]
        process = launch(self.recipe.module, options, [read_fd])
        self.pid = process.pid
        warm_up = self._context.tasks.start(self._warm_up(), f"warm-up {self.recipe.provider}")
        try:
            return await self._context.reaper.wait(process)
        finally:
            warm_up.cancel()
            self.pid = 0
            self._change("down")
            await self._end(process)

    async def _end(self, process: subprocess.Popen[bytes]) -> None:
        """End the process where it still runs: then this task was cancelled."""
        await end(self._context.reaper, process, STOP_PATIENCE_S)
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


async def is_healthy(path: Path) -> bool:
    """Return whether the server on this Unix socket answers `GET /health` with 200."""
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

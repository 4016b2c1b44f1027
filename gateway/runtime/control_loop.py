"""The control process once it has a configuration: workers, children, reloads, the admin API, signals, the stop."""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.config.load import Loaded
from gateway.core.clock import SystemClock
from gateway.core.tasks import Tasks
from gateway.observability.line_writer import write_soon
from gateway.observability.logging import STDERR, ProcessLog
from gateway.observability.merge import Merged
from gateway.observability.metrics import Metrics
from gateway.providers import provider_kinds
from gateway.runtime.admin_key import admin_key
from gateway.runtime.config_version import ConfigVersion
from gateway.runtime.file_watch import FileWatch
from gateway.runtime.first_request import curl_line
from gateway.runtime.launch import STOP_SIGNALS, Bootstrap
from gateway.runtime.listeners import address_of
from gateway.runtime.managed_server import ChildContext
from gateway.runtime.managed_servers import ManagedServers
from gateway.runtime.overview import Overview
from gateway.runtime.reaper import Reaper
from gateway.runtime.reload import Reloader, WorkerCounts, warn
from gateway.runtime.sockets import Sockets
from gateway.runtime.workers import StartError, WorkerFactory, Workers

if TYPE_CHECKING:
    from gateway.runtime.admin_listener import AdminListener

log = logging.getLogger(__name__)

CLEAN = 0
FAILED = 1
STDOUT = 1
START_PATIENCE_S = 2.0  # after a stop signal, for a worker that still starts: it may have served already


class ControlLoop:
    """The running control process."""

    def __init__(self, config_path: Path, loaded: Loaded, sockets: Sockets, bootstrap: Bootstrap) -> None:
        self._sockets = sockets
        self._log = ProcessLog()
        self._metrics = Metrics()
        self._metrics.on_snapshot(self._count_dropped_lines)
        self._merged = Merged()
        self._stop = asyncio.Event()
        self._is_ready = self._is_stopping = False
        self._exit_code = CLEAN
        self._admin: AdminListener | None = None
        self._executor = ThreadPoolExecutor(1, "load")
        self._tasks = Tasks(on_fatal=self._fail)
        self._reaper = Reaper()
        self._folder = Path(tempfile.mkdtemp(prefix="gateway-"))
        self._first_worker = bootstrap.first_worker
        self._notifier = bootstrap.notifier
        self._early_signals = bootstrap.early_signals
        self._clock = clock = SystemClock()
        factory = WorkerFactory(self._tasks, clock, self._reaper, bootstrap.lifeline, sockets.data)
        self._workers = Workers(factory, self._merged, self._count_restart, self._fail)
        modules = {name: kind.server_module for name, kind in provider_kinds().items() if kind.is_managed}
        context = ChildContext(self._tasks, clock, self._reaper, bootstrap.lifeline, self._folder, modules)
        self._children = ManagedServers(context, self._workers.child_changed)
        self._watch = FileWatch(self._tasks, self._files_changed)
        self._reloader = Reloader(
            loaded,
            load=lambda: _load_and_check(config_path),
            apply=self._apply,
            count_workers=lambda: WorkerCounts(self._workers.active, self._workers.wanted),
            executor=self._executor,
            clock=clock,
            metrics=self._metrics,
        )
        self._overview = Overview(
            workers=self._workers,
            children=self._children,
            reloader=self._reloader,
            merged=self._merged,
            own=self._metrics,
            is_stopping=lambda: self._is_stopping,
        )

    async def run(self) -> int:
        """Serve until a stop signal. Return the exit code."""
        spec = self._reloader.current.spec
        self._log.install()
        self._log.configure(spec.log.format_on(STDERR), spec.log.level)
        warn(self._reloader.current)
        self._reaper.open()
        with self._signals():
            try:
                for number in self._early_signals:
                    self._handle_stop_signal(number)
                    self._workers.kill()  # none has been started: no request runs
                await self._serve()
            except StartError as error:
                log.error("gateway could not start", extra={"reason": str(error)})
                self._fail()
            finally:
                await self._close()
        log.info("gateway stopped", extra={"exit_code": self._exit_code})
        return self._exit_code

    async def _serve(self) -> None:
        spec = self._reloader.current.spec
        version = ConfigVersion.of(self._reloader.generation, spec, self._children.plan(spec))
        self._children.keep(spec)
        await asyncio.gather(self._workers.start(version, self._first_worker), self._open_admin())
        if self._workers.active:
            self._children.release()  # also during a stop: a worker has served, and its requests may wait for a child
        if not self._stop.is_set():
            self._become_ready(version)
        await self._stop.wait()
        self._notifier.stopping()
        drain = self._reloader.current.spec.server.drain
        self._tasks.start(self._close_data_after(drain.grace_s), "close listeners")
        if not await self._workers.stop(drain.grace_s, drain.deadline_s):
            self._exit_code = FAILED

    def _become_ready(self, version: ConfigVersion) -> None:
        self._is_ready = True
        listeners = {"listen": self._sockets.data.addresses, "admin": [address_of(one) for one in self._sockets.admin]}
        more = {"workers": self._workers.wanted, "generation": version.generation}
        log.info("gateway is ready", extra={**listeners, **more})
        self._show_first_request()
        self._notifier.ready(self._status())
        # After READY: systemd's watchdog waits for it, and a slow start must not fill the manager's queue before it.
        self._tasks.start(self._feed_watchdog(), "watchdog")
        self._tasks.start(self._reloader.run(), "reload", essential=True)
        self._follow_files(self._reloader.current)

    def _show_first_request(self) -> None:
        """Print a request to try, where a person looks on."""
        spec = self._reloader.current.spec
        if os.isatty(STDOUT) and spec.server.listen:
            name = self._sockets.data.sockets[0].getsockname()
            port = name[1] if isinstance(name, tuple) else 0
            if line := curl_line(spec, spec.server.listen[0], port):
                asyncio.get_running_loop().run_in_executor(self._executor, write_soon, STDOUT, f"try it: {line}\n")

    def _status(self) -> str:
        last = self._reloader.last
        refused = "" if last is None or last.ok else ", the last reload was refused"
        return f"config {self._reloader.generation} on {self._workers.wanted} workers{refused}"

    async def _feed_watchdog(self) -> None:
        """Notify the service manager's watchdog that this loop runs, twice in the time that it allows."""
        while self._notifier.watchdog_s is not None:
            self._notifier.alive()
            await asyncio.sleep(self._notifier.watchdog_s / 2)

    async def _open_admin(self) -> None:
        """Import the admin API in a thread, for the import takes longer than all else here, and serve it."""
        listener_type = await asyncio.get_running_loop().run_in_executor(self._executor, _import_admin_listener)
        spec = self._reloader.current.spec
        self._admin = listener_type(self._overview)
        show = partial(write_soon, STDOUT) if os.isatty(STDOUT) else None
        key = await asyncio.get_running_loop().run_in_executor(self._executor, admin_key, spec, show)
        await self._admin.open(self._sockets.admin, spec.server.admin.listen, key, self._sockets.control)

    async def _close(self) -> None:
        """Close everything that has been started, processes and files included."""
        self._workers.kill()
        if self._admin is not None:
            await self._admin.close()
        await self._children.close()
        await self._tasks.close()
        self._reaper.close()
        self._executor.shutdown(wait=False, cancel_futures=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _apply(self, loaded: Loaded, generation: int) -> list[str]:
        """Bring a configuration to all workers, or to none. Return the problems."""
        before = self._reloader.current.spec
        version = ConfigVersion.of(generation, loaded.spec, self._children.plan(loaded.spec))
        problems = await self._workers.prepare(version)
        if problems:
            self._workers.discard(version)
            self._children.keep(before)
            return problems
        # First, so that workers know of a server that still warms up before they send requests to it.
        self._children.keep(loaded.spec, before.server.drain.deadline_s)
        await self._workers.activate(version)
        if self._admin is not None:
            self._admin.renew(loaded.spec.server.admin.listen)
        self._log.configure(loaded.spec.log.format_on(STDERR), loaded.spec.log.level)
        self._follow_files(loaded)
        return []

    async def _close_data_after(self, grace_s: float) -> None:
        """Close the listeners when the workers stop accepting: while one stays open, the kernel keeps taking connections."""
        await asyncio.sleep(grace_s)
        self._sockets.data.close()

    def _follow_files(self, loaded: Loaded) -> None:
        self._watch.follow(loaded.files if loaded.spec.server.watch else ())

    def _files_changed(self) -> None:
        self._reloader.request(is_explicit=False)

    def _count_dropped_lines(self) -> None:
        self._metrics.log_lines_dropped["process"].value = self._log.dropped

    def _count_restart(self) -> None:
        self._metrics.worker_restarts.value += 1

    def _fail(self) -> None:
        """Handle the failure of an essential part: stop."""
        self._exit_code = FAILED
        self._stop.set()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._handle_stop_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._handle_reload_signal)
        try:
            yield
        finally:
            for number in (*STOP_SIGNALS, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _handle_stop_signal(self, number: int) -> None:
        name = signal.Signals(number).name
        if not self._is_stopping:
            self._is_stopping = True
            self._stop.set()
            if not self._is_ready:
                self._tasks.start(self._kill_unless_started(), "stop during the start")
            log.info("gateway is stopping", extra={"signal": name})
            return
        self._exit_code = FAILED
        self._workers.kill()
        log.warning("second stop signal, ending at once", extra={"signal": name})

    async def _kill_unless_started(self) -> None:
        """Kill workers that don't serve within some time. One that does has perhaps taken requests: it drains."""
        await asyncio.sleep(START_PATIENCE_S)
        if not self._workers.active:
            self._workers.kill()

    def _handle_reload_signal(self) -> None:
        self._notifier.reloading(self._clock.monotonic())
        outcome = self._reloader.request(is_explicit=True)
        outcome.add_done_callback(lambda _: self._notifier.reloaded(self._status()))


def _load_and_check(path: Path) -> Loaded:
    from gateway.compile.check import load_and_check  # imports what compiles only when a reload needs it

    return load_and_check(path, os.environ)


def _import_admin_listener() -> "type[AdminListener]":
    from gateway.runtime.admin_listener import AdminListener

    return AdminListener

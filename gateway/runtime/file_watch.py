"""Watch the files of the configuration for changes.

Folders are watched, not files: editors replace a file by another, and a Kubernetes ConfigMap changes by swapping the
link `..data` beside it. Uses the backend of watchfiles directly, as its documentation shows: its generators do not report
when they begin to watch.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gateway.core.tasks import Tasks

log = logging.getLogger(__name__)

CONFIG_MAP_LINK = "..data"
STEP_MS = 50  # changes no farther apart than this are reported together,
GATHER_MS = 1000  # for at most this long
WATCH_MS = 60_000  # the longest single wait for a change


class FileWatch:
    """Calls `on_change` when one of the files that it follows may have changed."""

    def __init__(self, tasks: Tasks, on_change: Callable[[], None]) -> None:
        self._tasks = tasks
        self._on_change = on_change
        self._files: frozenset[Path] = frozenset()
        self._task: asyncio.Task[None] | None = None

    def follow(self, files: Iterable[Path]) -> None:
        """Watch these files from now on, and no others; none: watch nothing."""
        wanted = frozenset(files)
        if wanted == self._files:
            return
        self._files = wanted
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if wanted:
            self._task = self._tasks.start(self._watch(wanted), "watch configuration")

    async def _watch(self, files: frozenset[Path]) -> None:
        from watchfiles._rust_notify import RustNotify  # only where `server.watch` is on

        # A file behind a link has two paths.
        places = {place for file in files for place in (file.absolute(), file.resolve())}
        names = {place.name for place in places} | {CONFIG_MAP_LINK}
        folders = sorted({str(place.parent) for place in places})
        stop = threading.Event()
        loop = asyncio.get_running_loop()
        with RustNotify(folders, False, False, 0, False, False) as watcher, ThreadPoolExecutor(1, "watch") as thread:
            log.info("watching for changes", extra={"folders": folders})
            self._on_change()  # changes since the files were read have not been seen
            try:
                while True:
                    seen = await loop.run_in_executor(thread, watcher.watch, GATHER_MS, STEP_MS, WATCH_MS, stop)
                    if isinstance(seen, set) and any(Path(path).name in names for _, path in seen):
                        self._on_change()
            finally:
                stop.set()

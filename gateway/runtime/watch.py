"""Notice that the files of the configuration changed.

Folders are watched, not files: editors replace a file by another, and a Kubernetes ConfigMap changes by swapping the
link `..data` beside it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from gateway.core.tasks import Tasks

log = logging.getLogger(__name__)

CONFIG_MAP_LINK = "..data"


class Watch:
    """Calls `on_change` when one of the files that it follows may have changed."""

    def __init__(self, tasks: Tasks, on_change: Callable[[], None]) -> None:
        self._tasks = tasks
        self._on_change = on_change
        self._files: frozenset[Path] = frozenset()
        self._task: asyncio.Task[None] | None = None

    def follow(self, files: Iterable[Path]) -> None:
        """Watch these from now on, and no others; none: watch nothing."""
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
        from watchfiles import awatch  # only where it is asked for

        # A file reached through a link lives in two places.
        places = {place for file in files for place in (file.absolute(), file.resolve())}
        names = {place.name for place in places} | {CONFIG_MAP_LINK}
        folders = sorted({place.parent for place in places})
        log.info("watching for changes", extra={"folders": [str(folder) for folder in folders]})
        watching = awatch(*folders, recursive=False, watch_filter=lambda _, path: Path(path).name in names)
        async for _ in watching:
            self._on_change()

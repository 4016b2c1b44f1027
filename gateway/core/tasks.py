"""Background tasks with an owner."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Tasks:
    """Owns background tasks for the life of a process; `close` cancels and awaits them all.

    A task that fails is logged with its traceback. An essential task that fails or ends also calls `on_fatal`, once for all.
    """

    def __init__(self, on_fatal: Callable[[], None] | None = None) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._on_fatal = on_fatal

    def start(self, work: Coroutine[Any, Any, Any], name: str, *, essential: bool = False) -> asyncio.Task[Any]:
        """Run `work` as a task called `name`. The task is referenced until it ends, so it is not garbage-collected."""
        task = asyncio.get_running_loop().create_task(self._run(work, name, essential), name=name)
        self._tasks.add(task)

        def ended(task: "asyncio.Task[Any]") -> None:
            self._tasks.discard(task)
            work.close()  # a coroutine cancelled before its first step is closed nowhere else

        task.add_done_callback(ended)
        return task

    async def _run(self, work: Coroutine[Any, Any, Any], name: str, essential: bool) -> None:
        try:
            await work
        except Exception:
            log.exception("background task failed", extra={"task": name})
        else:
            if not essential:
                return
            log.error("essential task ended", extra={"task": name})
        if essential and self._on_fatal is not None:
            fatal, self._on_fatal = self._on_fatal, None
            fatal()

    async def close(self) -> None:
        """Cancel every task and wait until each has ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

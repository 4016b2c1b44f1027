"""Work that would hold up the event loop, done beside it in a thread.

Threads share the interpreter's lock (GIL) with the loop, so the work must be made of short calls into C: a single long one
stops the loop all the same. Between them the loop gets the lock within `SWITCH_S`.
"""

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

MEDIUM_BYTES: Final = 2**20  # work on more bytes than this has a thread of its own and never delays lighter work
SWITCH_S: Final = 0.0005  # Python's own 5 ms would be paid at every turn of the loop

T = TypeVar("T")


class _Lane:
    """One thread, started when it is first needed. Waiting work is held by its own task, not by the thread's queue."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_free = asyncio.Semaphore(1)
        self._executor: ThreadPoolExecutor | None = None

    async def run(self, work: Callable[[], T]) -> T:
        await self._is_free.acquire()
        try:
            if self._executor is None:
                sys.setswitchinterval(min(SWITCH_S, sys.getswitchinterval()))
                self._executor = ThreadPoolExecutor(1, thread_name_prefix=self._name)
            future = self._executor.submit(work)
        except BaseException:
            self._is_free.release()
            raise
        loop = asyncio.get_running_loop()

        def ended(future: Future[T]) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._is_free.release)

        future.add_done_callback(ended)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)


class Offload:
    """Runs work in two threads: one for up to `MEDIUM_BYTES`, one for more. So at most two pieces of work run at once.

    A cancelled caller stops waiting at once; its thread finishes what it does, and only then takes the next.
    """

    def __init__(self) -> None:
        self._medium = _Lane("medium")
        self._heavy = _Lane("heavy")

    async def run(self, size: int, work: Callable[[], T]) -> T:
        """Return the result of `work`, which reads `size` bytes. Raises its errors."""
        return await (self._medium if size <= MEDIUM_BYTES else self._heavy).run(work)

    def close(self) -> None:
        """Stop the threads once they have finished what they do."""
        self._medium.close()
        self._heavy.close()


class HeldBytes:
    """How many bytes of something are held at this moment, by all requests of a worker together."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0

    def has_room(self, own: int, limit: int) -> bool:
        """Return whether a body that has grown to `own` bytes, which are counted, may be held.

        The last quarter is for bodies up to `MEDIUM_BYTES`, so that a few heavy clients do not shut out all others.
        """
        return self.size <= (limit if own <= MEDIUM_BYTES else limit - limit // 4)

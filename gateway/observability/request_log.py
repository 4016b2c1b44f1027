"""Where request lines go: a file descriptor that may be slow, full or gone, and an event loop that must not notice.

The loop only appends to a list. Batches are handed to one thread, so that a full pipe or a stuck disk blocks nobody
else, whatever the descriptor is (setting O_NONBLOCK would change it for every process that shares it). What is
accepted and not yet written is bounded; beyond it lines are dropped and counted.
"""

import asyncio
import os
import threading
from queue import SimpleQueue
from select import select
from typing import Final

HAND_OVER_S: Final = 0.1  # how long a line may wait for company
HAND_OVER_BYTES: Final = 64 * 1024  # how much company is enough


class RequestLog:
    """Writes lines to `fd`, which stays the caller's. Used from one event loop; `close` flushes."""

    def __init__(self, fd: int, limit: int = 2**20) -> None:
        self._fd = fd
        self._limit = limit
        self._lines: list[bytes] = []
        self._waiting = 0  # bytes in `_lines`
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._batches: SimpleQueue[list[bytes] | None] = SimpleQueue()
        # Each of these is written by one side only, so that neither needs a lock.
        self._accepted = 0  # bytes, by the loop
        self._refused = 0  # lines, by the loop
        self._done = 0  # bytes written or lost, by the thread
        self._lost = 0  # lines, by the thread
        self._thread = threading.Thread(target=self._work, name="request-log", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Lines that were not written, because there was no room or because writing failed."""
        return self._refused + self._lost

    def write(self, line: bytes) -> None:
        """Queue `line`, which ends in a newline; dropped and counted where there is no room or the log is closed."""
        size = len(line)
        if self._accepted - self._done + size > self._limit or self._is_closed:
            self._refused += 1
            return
        self._accepted += size
        self._waiting += size
        self._lines.append(line)
        if self._waiting >= HAND_OVER_BYTES:
            self._hand_over()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(HAND_OVER_S, self._hand_over)

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what is queued and stop; wait no longer than `timeout_s` for a descriptor that takes nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._hand_over()
        self._batches.put(None)
        self._thread.join(timeout_s)

    def _hand_over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            lines, self._lines, self._waiting = self._lines, [], 0
            self._batches.put(lines)

    def _work(self) -> None:
        while (lines := self._batches.get()) is not None:
            batch = b"".join(lines)
            try:
                self._write_all(batch)
            except OSError:  # the reader is gone, the disk is full: serving goes on
                self._lost += len(lines)
            self._done += len(batch)

    def _write_all(self, batch: bytes) -> None:
        rest = memoryview(batch)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:  # somebody who shares the descriptor made it non-blocking
                select([], [self._fd], [])

"""Write request lines to a file descriptor that may be slow, full or closed, without blocking the event loop.

The loop only appends to a list. One thread writes the batches, so that a full pipe or a stuck disk blocks only that
thread, for any kind of descriptor (setting O_NONBLOCK would change it for every process that shares it). The bytes
accepted but not yet written are bounded; beyond that, lines are dropped and counted.
"""

import asyncio
import os
import threading
from queue import SimpleQueue
from select import select
from typing import Final

FLUSH_AFTER_S: Final = 0.1  # the longest time that a line stays in the buffer
FLUSH_BYTES: Final = 64 * 1024  # a buffer of this size is flushed at once


class RequestLog:
    """Writes lines to `fd`, which the caller owns. Used from one event loop; `close` flushes."""

    def __init__(self, fd: int, limit: int = 2**20) -> None:
        self._fd = fd
        self._limit = limit
        self._lines: list[bytes] = []
        self._buffered_bytes = 0  # in `_lines`
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._batches: SimpleQueue[list[bytes] | None] = SimpleQueue()
        # Only one side writes each of these, so no lock is needed.
        self._accepted_bytes = 0  # by the loop
        self._rejected_lines = 0  # by the loop
        self._finished_bytes = 0  # written or failed, by the thread
        self._failed_lines = 0  # by the thread
        self._thread = threading.Thread(target=self._write_batches, name="request-log", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """The number of lines not written, because the buffer was full or writing failed."""
        return self._rejected_lines + self._failed_lines

    def write(self, line: bytes) -> None:
        """Queue `line`, which ends in a newline; dropped and counted if the buffer is full or the log is closed."""
        size = len(line)
        if self._accepted_bytes - self._finished_bytes + size > self._limit or self._is_closed:
            self._rejected_lines += 1
            return
        self._accepted_bytes += size
        self._buffered_bytes += size
        self._lines.append(line)
        if self._buffered_bytes >= FLUSH_BYTES:
            self._flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_AFTER_S, self._flush)

    def close(self, timeout_s: float = 2.0) -> None:
        """Write the queued lines and stop; wait at most `timeout_s` for a blocked descriptor."""
        if self._is_closed:
            return
        self._is_closed = True
        self._flush()
        self._batches.put(None)
        self._thread.join(timeout_s)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            lines, self._lines, self._buffered_bytes = self._lines, [], 0
            self._batches.put(lines)

    def _write_batches(self) -> None:
        while (lines := self._batches.get()) is not None:
            batch = b"".join(lines)
            try:
                self._write_all(batch)
            except OSError:  # the reader is gone or the disk is full; the gateway keeps serving
                self._failed_lines += len(lines)
            self._finished_bytes += len(batch)

    def _write_all(self, batch: bytes) -> None:
        remaining = memoryview(batch)
        while remaining:
            try:
                remaining = remaining[os.write(self._fd, remaining) :]
            except BlockingIOError:  # another process that shares the descriptor made it non-blocking
                select([], [self._fd], [])

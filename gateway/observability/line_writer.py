"""Write lines to a file descriptor that may be slow, full or closed, without blocking the caller.

The caller only queues. One thread writes, so that a full pipe, a stopped terminal or a stuck disk blocks only that thread,
for any kind of descriptor (setting O_NONBLOCK would change it for every process that shares it). The bytes accepted but not
yet written are bounded; beyond that, lines are dropped and counted. Both logs are built on this: `request_log.py` adds
batches, `logging.py` the format.
"""

import os
import threading
from queue import SimpleQueue
from select import select
from typing import Final

LIMIT_BYTES: Final = 2**20  # accepted but not yet written
CLOSE_PATIENCE_S: Final = 2.0


class LineWriter:
    """Writes lines to `fd`, which the caller owns. `write` must not run in two threads at once; `close` flushes."""

    def __init__(self, fd: int, limit: int = LIMIT_BYTES, name: str = "line-writer") -> None:
        self._fd = fd
        self._limit = limit
        self._is_closed = False
        self._batches: SimpleQueue[list[bytes] | None] = SimpleQueue()
        # Only one side writes each of these, so no lock is needed.
        self._accepted_bytes = 0  # by the caller
        self._rejected_lines = 0  # by the caller
        self._finished_bytes = 0  # written or failed, by the thread
        self._failed_lines = 0  # by the thread
        self._thread = threading.Thread(target=self._write_batches, name=name, daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """The number of lines not written, because the queue was full or writing failed."""
        return self._rejected_lines + self._failed_lines

    def write(self, line: bytes) -> None:
        """Queue `line`, which ends in a newline; dropped and counted if the queue is full or the writer is closed."""
        size = len(line)
        if self._accepted_bytes - self._finished_bytes + size > self._limit or self._is_closed:
            self._rejected_lines += 1
            return
        self._accepted_bytes += size
        self._batches.put([line])

    def close(self, timeout_s: float = CLOSE_PATIENCE_S) -> None:
        """Write the queued lines and stop; wait at most `timeout_s` for a blocked descriptor."""
        if self._is_closed:
            return
        self._is_closed = True
        self._batches.put(None)
        self._thread.join(timeout_s)

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


def write_soon(fd: int, text: str) -> None:
    """Write `text` to `fd`; give up after two seconds where its reader is stuck, and at once where it is closed."""
    writer = LineWriter(fd)
    writer.write(text.encode(errors="replace"))
    writer.close()

"""The request log: a `LineWriter` that hands over batches, because waking its thread for each line would cost the loop time."""

import asyncio
from typing import Final

from gateway.observability.line_writer import CLOSE_PATIENCE_S, LIMIT_BYTES, LineWriter

FLUSH_AFTER_S: Final = 0.1  # the longest time that a line stays in the buffer
FLUSH_BYTES: Final = 64 * 1024  # a buffer of this size is flushed at once


class RequestLog(LineWriter):
    """Writes lines to `fd`, which the caller owns. Used from one event loop; `close` flushes."""

    def __init__(self, fd: int, limit: int = LIMIT_BYTES) -> None:
        super().__init__(fd, limit, "request-log")
        self._lines: list[bytes] = []
        self._buffered_bytes = 0  # in `_lines`
        self._timer: asyncio.TimerHandle | None = None

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

    def close(self, timeout_s: float = CLOSE_PATIENCE_S) -> None:
        """Write the queued lines and stop; wait at most `timeout_s` for a blocked descriptor."""
        self._flush()
        super().close(timeout_s)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            lines, self._lines, self._buffered_bytes = self._lines, [], 0
            self._batches.put(lines)

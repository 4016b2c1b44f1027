"""A watch that fails a test whose event loop stands, measured in CPU time so that a loaded machine does not matter.

The loop stands while one callback runs, and while a thread beside it is in one call into C, which keeps the interpreter's lock.
Both are measured by the CPU time of their own thread: what other processes take does not count.
"""

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

LIMIT_S = 0.25  # generous, for busy machines: unbounded bodies stop the loop for seconds


class LoopWatch:
    """The longest callback, and the longest call into C of threads that were started while it watched."""

    def __init__(self) -> None:
        self.callback_s = 0.0
        self.call_s = 0.0
        self.callback = self.call = ""

    @property
    def worst_s(self) -> float:
        return max(self.callback_s, self.call_s)


@contextmanager
def watched_loop(limit_s: float = LIMIT_S) -> Iterator[LoopWatch]:
    """Fail where a callback of asyncio's own loop, or a call into C of a new thread, takes more CPU time than `limit_s`."""
    watch = LoopWatch()
    run = asyncio.Handle._run
    local = threading.local()

    def timed_run(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        run(handle)
        took_s = time.thread_time() - began
        if took_s > watch.callback_s:
            watch.callback_s, watch.callback = took_s, repr(handle)[:200]

    def profile(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call":
            local.began = time.thread_time()
        elif event in ("c_return", "c_exception") and (began := getattr(local, "began", 0.0)):
            took_s, local.began = time.thread_time() - began, 0.0
            if took_s > watch.call_s:
                watch.call_s, watch.call = took_s, f"{called!r} in {frame.f_code.co_qualname}"

    asyncio.Handle._run = timed_run  # type: ignore[method-assign]
    threading.setprofile(profile)
    try:
        yield watch
    finally:
        asyncio.Handle._run = run  # type: ignore[method-assign]
        threading.setprofile(sys.getprofile())
    assert watch.callback_s <= limit_s, f"the loop stood for {watch.callback_s * 1e3:.0f} ms in {watch.callback}"
    assert watch.call_s <= limit_s, f"a thread kept the lock for {watch.call_s * 1e3:.0f} ms in {watch.call}"

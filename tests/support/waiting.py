"""Wait for something to become true in another process, no longer than it takes."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOK_S = 0.005


def wait_for(look: Callable[[], T], what: str, timeout_s: float = 10.0) -> T:
    """Give the first truthy value of `look`; fails the test, naming `what`, when none comes in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = look()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:g} s in vain for {what}; last seen: {value!r}")
        time.sleep(LOOK_S)

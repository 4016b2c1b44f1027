"""Wait for a condition in another process by polling."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.005


def wait_for(look: Callable[[], T], what: str, timeout_s: float = 10.0) -> T:
    """Return the first truthy value of `look`; fail the test, naming `what`, after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = look()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: timed out after {timeout_s:g} s; last value: {value!r}")
        time.sleep(POLL_S)

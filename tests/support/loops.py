"""Event loops for tests: one with virtual time, and all loops that the gateway supports."""

import asyncio
import inspect
import selectors
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import pytest
import uvloop

AsyncTest = Callable[..., Coroutine[Any, Any, None]]

NETWORK_S = 0.005  # real time within which data sent by the test itself arrives


class _Selector(selectors.DefaultSelector):
    """Skips the waiting time if nothing happens before the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(None)
        found = super().select(min(timeout, NETWORK_S) if len(self.get_map()) > 1 else 0)
        if not found and timeout > 0:
            self.passed_s += timeout
        return found


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop whose time stands still while anything happens, and otherwise jumps to the next timer."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return 1000.0 + self._virtual.passed_s


def in_virtual_time(test: AsyncTest) -> Callable[..., None]:
    """Run a test in virtual time: an hour of waiting takes no real time and is deterministic."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    del run.__wrapped__  # otherwise pytest takes it for a coroutine function
    run.__signature__ = inspect.signature(test)  # type: ignore[attr-defined]
    return run


def on_every_loop(test: AsyncTest) -> Callable[..., None]:
    """Run a test on asyncio's own loop and on uvloop."""

    def run(new_loop: Callable[[], asyncio.AbstractEventLoop], **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(test(**kwargs))

    signature = inspect.signature(test)
    new_loop = inspect.Parameter("new_loop", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    run.__signature__ = signature.replace(parameters=[new_loop, *signature.parameters.values()])  # type: ignore[attr-defined]
    run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
    if hasattr(test, "pytestmark"):
        run.pytestmark = list(test.pytestmark)  # type: ignore[attr-defined]
    return pytest.mark.parametrize(
        "new_loop", [asyncio.SelectorEventLoop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
    )(run)


async def until(condition: Callable[[], object]) -> None:
    """Run the loop until `condition` holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)

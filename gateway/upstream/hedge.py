"""A race between an attempt and, where it is slow, a second one."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.core.errors import GatewayError
from gateway.upstream.attempt import Attempt

ResultOf = Callable[[Attempt], Awaitable[Attempt | None]]


async def race(
    result_of: ResultOf, first: Attempt, second: Callable[[], Attempt | None], after_s: float
) -> Attempt | None:
    """Return the first of two attempts that succeeds and cancel the other; None where both failed.

    `result_of` waits for an attempt; it returns None, or raises `GatewayError`, where the attempt failed. `second` starts
    another one only where the first has no response after `after_s`, and may return None. Whatever happens, every attempt
    but the returned one has ended when this returns.
    """
    begun, winner = [first], None
    tasks: list[asyncio.Task[Attempt | GatewayError | None]] = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks.append(group.create_task(_error_as_value(result_of, first)))
            await asyncio.wait(tasks, timeout=after_s)
            if not tasks[0].done() and (other := _begin(second)) is not None:
                begun.append(other)
                tasks.append(group.create_task(_error_as_value(result_of, other)))
            winner = await _first_success(tasks)
            for task in tasks:
                task.cancel()
    except BaseException:
        winner = None
        raise
    finally:
        for attempt in begun:
            if attempt is not winner:
                attempt.discard()
    if winner is None:
        for task in tasks:
            if isinstance(error := task.result(), GatewayError):
                raise error
    return winner


def _begin(second: Callable[[], Attempt | None]) -> Attempt | None:
    """Return a second attempt; None where it is too late for one: the first attempt's own timeouts then end the request."""
    try:
        return second()
    except GatewayError:
        return None


async def _error_as_value(result_of: ResultOf, attempt: Attempt) -> Attempt | GatewayError | None:
    """Return an error as a value: one that is raised would cancel the other attempt."""
    try:
        return await result_of(attempt)
    except GatewayError as error:
        return error


async def _first_success(tasks: list["asyncio.Task[Attempt | GatewayError | None]"]) -> Attempt | None:
    waiting = set(tasks)
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task in done and isinstance(attempt := task.result(), Attempt):
                return attempt
    return None

"""A race between an attempt and, where it is slow, a second one."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.core.errors import GatewayError
from gateway.upstream.attempt import Attempt

Answered = Callable[[Attempt], Awaitable[Attempt | None]]


async def race(
    answered: Answered, first: Attempt, second: Callable[[], Attempt | None], after_s: float
) -> Attempt | None:
    """Give the first of two trials that is answered, the other being cancelled; None where both failed.

    `answered` waits for a trial; it gives None, or raises `GatewayError`, where the trial failed. `second` is begun only
    where the first has no answer after `after_s`, and may give None. Whatever happens, every trial but the one that is given
    has ended when this returns.
    """
    begun, winner = [first], None
    tasks: list[asyncio.Task[Attempt | GatewayError | None]] = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks.append(group.create_task(_quietly(answered, first)))
            await asyncio.wait(tasks, timeout=after_s)
            if not tasks[0].done() and (other := second()) is not None:
                begun.append(other)
                tasks.append(group.create_task(_quietly(answered, other)))
            winner = await _first_answer(tasks)
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


async def _quietly(answered: Answered, attempt: Attempt) -> Attempt | GatewayError | None:
    """Give an error as a value: one that is raised would cancel the other trial."""
    try:
        return await answered(attempt)
    except GatewayError as error:
        return error


async def _first_answer(tasks: list["asyncio.Task[Attempt | GatewayError | None]"]) -> Attempt | None:
    waiting = set(tasks)
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task in done and isinstance(attempt := task.result(), Attempt):
                return attempt
    return None

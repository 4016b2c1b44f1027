"""Small calls gathered into one: dynamic micro-batching.

A batch is open, then gone, then settled. It opens with its first caller and takes in whoever is alike (the same `key`). It goes
when it is full, when somebody comes for whom there is no room, or when `wait_s` has passed since it opened. What then happens:

| the answer to a batch of several          | its callers                                                          |
|-------------------------------------------|----------------------------------------------------------------------|
| is whole                                  | get their parts                                                      |
| says that an input is at fault, or so may | are asked again in two halves, and so on: each gets its own outcome  |
| is any other failure                      | all get it; of one call the breaker hears once                       |

A caller that leaves an open batch takes its inputs with it; what is on its way goes on for the others. With the last caller
the call ends. Each caller keeps its own total clock, so none is cut short by a neighbour that has little time left.

Nothing queues up in here: an open batch is bounded by `max` and `TOKENS_LIMIT`, and every caller is a request that was let in.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.config.spec import BatchSpec
from gateway.core.chat import ChatRequest
from gateway.core.errors import GatewayError, Rejected, UpstreamError, UpstreamTimeout
from gateway.core.faults import Fault
from gateway.core.tasks import Tasks
from gateway.core.usage import Usage
from gateway.providers.transport import UpstreamResponse

TOKENS_LIMIT: Final = 100_000  # of one call, estimated; providers take some 300,000
TIMER_S: Final = 0.001  # the loop's timers may be so late: a wait is never longer than was said
OF_ONE_INPUT: Final = frozenset({400, 413, 422})  # statuses that may be about one input, or about their number


@dataclass(frozen=True, slots=True)
class BatchResult:
    """One caller's part of an answer that has ended."""

    body: bytes
    usage: Usage | None
    answer: UpstreamResponse


Send = Callable[[Sequence[ChatRequest]], Awaitable[Sequence[BatchResult]]]
"""Makes one call of requests that are alike; gives the portion of each. Raises `GatewayError`."""


def _promise() -> "asyncio.Future[BatchResult]":
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True, eq=False)
class BatchItem:
    """One that asks: its request, how many inputs that holds, and how a batch is sent that it is the first of."""

    request: ChatRequest
    inputs: int
    send: Send
    result: "asyncio.Future[BatchResult]" = field(default_factory=_promise, init=False)


@dataclass(slots=True, eq=False)
class _Batch:
    key: Hashable
    callers: list[BatchItem] = field(default_factory=list)
    inputs: int = 0
    tokens: int = 0
    timer: asyncio.TimerHandle | None = None
    task: "asyncio.Task[object] | None" = None  # the call, once the batch is gone


class Batches:
    """The open batches of one worker."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._open: dict[Hashable, _Batch] = {}

    async def ask(self, key: Hashable, caller: BatchItem, settings: BatchSpec, total_at: float | None) -> BatchResult:
        """Have the request of `caller` answered together with others of the same key. Raises `GatewayError`."""
        batch = self._join(key, caller, settings)
        try:
            async with asyncio.timeout_at(total_at):
                return await caller.result
        except TimeoutError:
            message = "the provider did not answer in time (total clock)"
            raise UpstreamTimeout(message, code="total_timeout", fault=Fault.TOTAL) from None
        finally:
            if caller.result.cancelled():
                self._leave(batch, caller)

    # An open batch

    def _join(self, key: Hashable, caller: BatchItem, settings: BatchSpec) -> _Batch:
        tokens = caller.request.tokens
        batch = self._open.get(key)
        if batch is not None and (batch.inputs + caller.inputs > settings.max or batch.tokens + tokens > TOKENS_LIMIT):
            self._go(batch)
            batch = None
        if batch is None:
            batch = self._open[key] = _Batch(key)
            batch.timer = asyncio.get_running_loop().call_later(settings.wait_s - TIMER_S, self._go, batch)
        batch.callers.append(caller)
        batch.inputs += caller.inputs
        batch.tokens += tokens
        if batch.inputs >= settings.max:
            self._go(batch)
        return batch

    def _leave(self, batch: _Batch, caller: BatchItem) -> None:
        if batch.task is None:
            batch.callers.remove(caller)
            batch.inputs -= caller.inputs
            batch.tokens -= caller.request.tokens
            if not batch.callers:
                self._close(batch)
        elif all(one.result.done() for one in batch.callers):
            batch.task.cancel()

    def _close(self, batch: _Batch) -> None:
        del self._open[batch.key]
        if batch.timer is not None:
            batch.timer.cancel()

    def _go(self, batch: _Batch) -> None:
        self._close(batch)
        batch.task = self._tasks.start(self._run(batch), "batch")

    # A batch that is gone

    async def _run(self, batch: _Batch) -> None:
        try:
            await self._settle(batch.callers)
        finally:
            for caller in batch.callers:  # after a mistake of our own
                _fail(caller, GatewayError("an unexpected failure", code="internal_error"))

    async def _settle(self, callers: Sequence[BatchItem]) -> None:
        """See that each of the callers that are still there has its outcome."""
        present = [caller for caller in callers if not caller.result.done()]
        if not present:
            return
        try:
            portions = await present[0].send([caller.request for caller in present])
        except GatewayError as error:
            if len(present) > 1 and _may_be_of_one(error):
                half = len(present) // 2
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._settle(present[:half]))
                    group.create_task(self._settle(present[half:]))
                return
            _fail_all(present, error)
            return
        for caller, result in zip(present, portions, strict=True):
            if not caller.result.done():
                caller.result.set_result(result)


def _may_be_of_one(error: GatewayError) -> bool:
    """Whether a call without one of its inputs, or with fewer, might be answered."""
    if not isinstance(error, Rejected):
        return False
    return error.fault is not Fault.REJECTED or error.upstream_status in OF_ONE_INPUT


def _fail_all(callers: Sequence[BatchItem], error: GatewayError) -> None:
    """Give an error to everybody; only the first to be told is the one that tells the breaker."""
    there = [caller for caller in callers if not caller.result.done()]
    for place, caller in enumerate(there):
        _fail(caller, error.echo() if place and isinstance(error, UpstreamError) else error)


def _fail(caller: BatchItem, error: GatewayError) -> None:
    if not caller.result.done():
        caller.result.set_exception(error)
        caller.result.exception()  # it may leave in the same moment: nobody has to be told

"""Dynamic micro-batching: small requests gathered into one upstream request.

A batch is open, then sent, then settled. It opens with its first item and takes further items with the same `key`. It is sent
when it is full, when an item arrives that does not fit, or when `wait_s` has passed since it opened. Then:

| result of a batch with several items         | its items                                                         |
|----------------------------------------------|-------------------------------------------------------------------|
| complete response                            | get their parts                                                   |
| an error that may be about one of the inputs | are sent again in two halves, and so on: each gets its own result |
| any other failure                            | all get it; the breaker counts one failure for one request        |

An item that leaves an open batch takes its inputs along. A batch that was sent goes on for its other items; when the last one
leaves, the request is cancelled. Each item keeps its own total timeout, so an item with little time left cuts no other short.

The memory is bounded: an open batch by `max` and `TOKENS_LIMIT`, and every item is a request that was admitted.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.config.spec import BatchSpec
from gateway.core.chat import ChatRequest
from gateway.core.errors import GatewayError, Rejected, UpstreamError, UpstreamTimeout
from gateway.core.faults import Fault
from gateway.core.response import Response
from gateway.core.tasks import Tasks

TOKENS_LIMIT: Final = 100_000  # of one upstream request, estimated; providers accept some 300,000
TIMER_S: Final = 0.001  # the loop's timers may be late by so much; deducted, so that no wait is longer than configured
INPUT_STATUSES: Final = frozenset(
    {400, 413, 422}
)  # statuses that may be about one of the inputs, or about their number


Send = Callable[[Sequence[ChatRequest]], Awaitable[Sequence[Response]]]
"""Sends several requests as one; returns the result of each. Raises `GatewayError`."""


def _new_future() -> "asyncio.Future[Response]":
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True, eq=False)
class BatchItem:
    """One request in a batch: the number of its inputs, and how to send a batch in which it comes first."""

    request: ChatRequest
    inputs: int
    send: Send
    result: "asyncio.Future[Response]" = field(default_factory=_new_future, init=False)


@dataclass(slots=True, eq=False)
class _Batch:
    key: Hashable
    items: list[BatchItem] = field(default_factory=list)
    inputs: int = 0
    tokens: int = 0
    timer: asyncio.TimerHandle | None = None
    task: "asyncio.Task[object] | None" = None  # sends the batch


class Batches:
    """The open batches of one worker."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._open: dict[Hashable, _Batch] = {}

    async def ask(self, key: Hashable, item: BatchItem, settings: BatchSpec, total_at: float | None) -> Response:
        """Send the request of `item` together with others of the same key; returns its result. Raises `GatewayError`."""
        batch = self._join(key, item, settings)
        try:
            async with asyncio.timeout_at(total_at):
                return await item.result
        except TimeoutError:
            message = "the provider did not answer in time (total clock)"
            raise UpstreamTimeout(message, code="total_timeout", fault=Fault.TOTAL) from None
        finally:
            if item.result.cancelled():
                self._leave(batch, item)

    # An open batch

    def _join(self, key: Hashable, item: BatchItem, settings: BatchSpec) -> _Batch:
        tokens = item.request.tokens
        batch = self._open.get(key)
        if batch is not None and (batch.inputs + item.inputs > settings.max or batch.tokens + tokens > TOKENS_LIMIT):
            self._send_batch(batch)
            batch = None
        if batch is None:
            batch = self._open[key] = _Batch(key)
            batch.timer = asyncio.get_running_loop().call_later(settings.wait_s - TIMER_S, self._send_batch, batch)
        batch.items.append(item)
        batch.inputs += item.inputs
        batch.tokens += tokens
        if batch.inputs >= settings.max:
            self._send_batch(batch)
        return batch

    def _leave(self, batch: _Batch, item: BatchItem) -> None:
        if batch.task is None:
            batch.items.remove(item)
            batch.inputs -= item.inputs
            batch.tokens -= item.request.tokens
            if not batch.items:
                self._close(batch)
        elif all(one.result.done() for one in batch.items):
            batch.task.cancel()

    def _close(self, batch: _Batch) -> None:
        del self._open[batch.key]
        if batch.timer is not None:
            batch.timer.cancel()

    def _send_batch(self, batch: _Batch) -> None:
        self._close(batch)
        batch.task = self._tasks.start(self._run(batch), "batch")

    # A batch that was sent

    async def _run(self, batch: _Batch) -> None:
        try:
            await self._settle(batch.items)
        finally:
            for item in batch.items:  # if `_settle` failed by a bug
                _fail(item, GatewayError("an unexpected failure", code="internal_error"))

    async def _settle(self, items: Sequence[BatchItem]) -> None:
        """Send the items that are still waiting, and set the result of each."""
        waiting = [item for item in items if not item.result.done()]
        if not waiting:
            return
        try:
            results = await waiting[0].send([item.request for item in waiting])
        except GatewayError as error:
            if len(waiting) > 1 and _may_concern_one_input(error):
                half = len(waiting) // 2
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._settle(waiting[:half]))
                    group.create_task(self._settle(waiting[half:]))
                return
            _fail_all(waiting, error)
            return
        for item, result in zip(waiting, results, strict=True):
            if not item.result.done():
                item.result.set_result(result)


def _may_concern_one_input(error: GatewayError) -> bool:
    """Whether a request without one of the inputs, or with fewer inputs, might succeed."""
    if not isinstance(error, Rejected):
        return False
    return error.fault is not Fault.REJECTED or error.upstream_status in INPUT_STATUSES


def _fail_all(items: Sequence[BatchItem], error: GatewayError) -> None:
    """Fail every item with `error`; all but the first get an echo, which the breaker does not count."""
    waiting = [item for item in items if not item.result.done()]
    for index, item in enumerate(waiting):
        _fail(item, error.echo() if index and isinstance(error, UpstreamError) else error)


def _fail(item: BatchItem, error: GatewayError) -> None:
    if not item.result.done():
        item.result.set_exception(error)
        item.result.exception()  # marks it as retrieved: the item may leave in the same moment

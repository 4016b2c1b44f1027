"""The concurrency limit of one pool: so many requests run at a time, so many more wait in a queue, the rest is refused at once.

A waiting request leaves the queue in one of these ways, whichever comes first:

| event                                            | the waiting request   | the slot                           |
|--------------------------------------------------|-----------------------|------------------------------------|
| a slot is released, or the limit is raised       | runs                  | belongs to it from that moment     |
| the same, but it was cancelled in that turn      | ends, cancelled       | goes to the next waiting request   |
| of the event loop                                |                       |                                    |
| `queue.wait` or its deadline is over             | raises `QueueTimeout` | –                                  |
| the queue is full, its tenant waits with most    | raises `QueueFull`    | –                                  |
| requests, and a tenant with fewer sends one      |                       |                                    |
| it is cancelled                                  | ends, cancelled       | –                                  |

A slot is handed to one waiting request directly. So while requests wait there is no free slot that a newcomer could take, and
no waiting request wakes up without a slot. Every decision is synchronous, hence atomic within the event loop.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from gateway.config.spec import Priority, QueueSpec
from gateway.core.clock import Clock
from gateway.core.errors import Overloaded, QueueFull, QueueTimeout
from gateway.pools.averages import Average
from gateway.pools.fair_queue import FairQueue

MIN_QUEUE_RETRY_S: Final = 0.1

RefusalReason = Literal["no_queue", "full", "too_long", "crowded_out", "timeout"]
REFUSALS: Final[tuple[RefusalReason, ...]] = ("no_queue", "full", "too_long", "crowded_out", "timeout")
"""In this order: the pool has no queue; the queue is full; the wait would be too long; evicted for another tenant; timed out."""


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """What the queue knows of a request. `cost`: how much of its tenant's share it takes, an estimate in tokens."""

    tenant: str
    key: str = ""
    weight: int = 1
    priority: Priority = "normal"
    cost: int = 1


@dataclass(slots=True, eq=False)
class _Waiter:
    """A waiting request. `outcome`: None grants a slot, an error refuses it. `owner`: the tenant or key whose share it uses."""

    outcome: "asyncio.Future[Overloaded | None]"
    owner: str
    weight: int
    priority: Priority
    cost: int


class ConcurrencyLimiter:
    """The slots and the queue of one pool. Live: it outlasts reloads, which `configure` it. Used from one event loop only.

    Every successful `acquire` or `try_acquire` must be followed by one `release`. `on_wait` is called with the seconds that a
    request waited before it got its slot; `refusals` counts the requests that got none.
    """

    def __init__(self, clock: Clock) -> None:
        self.in_flight = 0
        self.refusals: dict[RefusalReason, int] = dict.fromkeys(REFUSALS, 0)
        self.on_wait: Callable[[float], None] | None = None
        self._clock = clock
        self._limit: int | None = None
        self._queue: QueueSpec | None = None
        self._waiting: FairQueue[_Waiter] = FairQueue()
        self._service_s = Average()

    @property
    def waiting(self) -> int:
        """The number of waiting requests."""
        return len(self._waiting)

    def configure(self, max_inflight: int | None, queue: QueueSpec | None) -> None:
        """Apply new settings. A higher limit grants slots at once; a lower one takes effect as running requests end.

        Requests that already wait keep their place and their timeout.
        """
        self._limit = max_inflight
        self._queue = queue
        self._grant_slots()

    def try_acquire(self) -> bool:
        """Take a slot if one is free. While requests wait, none is."""
        if self._limit is not None and self.in_flight >= self._limit:
            return False
        self.in_flight += 1
        return True

    async def acquire(self, entry: QueueEntry, deadline_at: float | None = None) -> None:
        """Take a slot; wait in the queue until `deadline_at` (event loop time) or for `queue.wait`, whichever is shorter.

        Raises `Overloaded`. Its `retry_after_s` estimates the wait from the rate at which requests end. Cancelled at any
        moment, the request holds neither a place in the queue nor a slot.
        """
        if self.try_acquire():
            return
        loop = asyncio.get_running_loop()
        since = loop.time()
        owner, weight = self._share_of(entry)
        waiter = _Waiter(loop.create_future(), owner, weight, entry.priority, max(1, entry.cost))
        timeout_s = self._enqueue(waiter, None if deadline_at is None else deadline_at - since)
        timer = loop.call_at(since + timeout_s, self._expire, waiter)
        try:
            error = await waiter.outcome
        except BaseException:  # cancelled, or closed with its loop
            if not self._waiting.remove(waiter) and _has_slot(waiter.outcome):
                self._free_slot()
            raise
        finally:
            timer.cancel()
        if error is not None:
            raise error
        if self.on_wait is not None:
            self.on_wait(loop.time() - since)

    def release(self, service_s: float) -> None:
        """Return a slot, which goes to the next waiting request. `service_s`: for how long the slot was held."""
        if self._limit is not None:
            self._service_s.observe(service_s, self._clock.monotonic())
        self._free_slot()

    def _free_slot(self) -> None:
        self.in_flight -= 1
        self._grant_slots()

    def _grant_slots(self) -> None:
        """Hand free slots to the requests that are next in the queue."""
        while self._waiting and (self._limit is None or self.in_flight < self._limit):
            outcome = self._waiting.pop().outcome
            if not outcome.done():  # else it was cancelled in this turn of the loop
                self.in_flight += 1
                outcome.set_result(None)

    def _share_of(self, entry: QueueEntry) -> tuple[str, int]:
        """Return whose share a request uses (by `queue.fair_by`), and the weight of that share."""
        match self._queue:
            case QueueSpec(fair_by="tenant"):
                return entry.tenant, entry.weight
            case QueueSpec(fair_by="key"):
                return entry.key, entry.weight
            case _:
                return "", 1

    def _enqueue(self, waiter: _Waiter, left_s: float | None) -> float:
        """Put a request into the queue; returns its timeout in seconds. Raises `Overloaded` if it may not wait."""
        queue = self._queue
        wait_s = self._estimated_wait_s(waiter)
        if queue is None:
            raise self._refuse("no_queue", wait_s)
        timeout_s = queue.wait_s if left_s is None else min(queue.wait_s, left_s)
        if wait_s > timeout_s:
            raise self._refuse("too_long", wait_s)
        if self.waiting >= queue.max:
            other = self._waiting.eviction_candidate(waiter.owner, waiter.weight, waiter.priority)
            if other is None:
                raise self._refuse("full", wait_s)
            self._evict(other, "crowded_out")
        self._waiting.push(waiter, waiter.owner, waiter.weight, waiter.cost, waiter.priority)
        return timeout_s

    def _estimated_wait_s(self, waiter: _Waiter) -> float:
        """Estimate how long a request would wait that came now; 0.0 as long as no request has ended."""
        if self._limit is None:
            return 0.0
        excess = (
            self.in_flight - self._limit + 1
        )  # releases until the first slot is free: 1, or more after a lower limit
        ahead = self._waiting.estimate_ahead(waiter.owner, waiter.weight, waiter.cost, waiter.priority)
        return (excess + ahead) * self._service_s.value / self._limit

    def _expire(self, waiter: _Waiter) -> None:
        self._evict(waiter, "timeout")

    def _evict(self, waiter: _Waiter, reason: RefusalReason) -> None:
        if self._waiting.remove(waiter) and not waiter.outcome.done():
            waiter.outcome.set_result(self._refuse(reason, self._estimated_wait_s(waiter)))

    def _refuse(self, reason: RefusalReason, wait_s: float) -> Overloaded:
        """Count a refusal; returns the error that says so to the client."""
        self.refusals[reason] += 1
        retry_after_s = max(MIN_QUEUE_RETRY_S, wait_s)
        match reason:
            case "no_queue":
                return Overloaded("too many concurrent requests for this pool", retry_after_s=retry_after_s)
            case "timeout":
                return QueueTimeout("timed out in the queue of this pool", retry_after_s=retry_after_s)
            case "too_long":
                return QueueFull("the wait in the queue of this pool would be too long", retry_after_s=retry_after_s)
            case "full" | "crowded_out":
                return QueueFull("too many requests wait for this pool", retry_after_s=retry_after_s)


def _has_slot(outcome: "asyncio.Future[Overloaded | None]") -> bool:
    return outcome.done() and not outcome.cancelled() and outcome.result() is None

"""The room of one pool: so many requests run at a time, so many more wait for their turn, the rest is refused at once.

A request that waits leaves the queue in one of these ways, whichever comes first:

| what happens                                     | the waiter            | the slot                           |
|--------------------------------------------------|-----------------------|------------------------------------|
| another request leaves, or the limit is raised   | goes on               | is its own from that moment        |
| the same, but it was cancelled in that turn      | ends, cancelled       | goes to the next one               |
| `queue.wait` or its deadline is over             | raises `QueueTimeout` | –                                  |
| the queue is full and its tenant has most there, | raises `QueueFull`    | –                                  |
| while one with less to wait comes                |                       |                                    |
| it is cancelled                                  | ends, cancelled       | –                                  |

A slot is handed over, never thrown among all waiters: while anybody waits there is no free slot that a newcomer could
take, and nobody wakes up in vain. Deciding is synchronous, so that every step is atomic within the event loop.
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

Refusal = Literal["no_queue", "full", "too_long", "crowded_out", "timeout"]
REFUSALS: Final[tuple[Refusal, ...]] = ("no_queue", "full", "too_long", "crowded_out", "timeout")
"""Why a request was refused: no queue; no place in it; would wait too long; place given to another tenant; waited in vain."""


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """Who wants to enter. `cost`: how much of the tenant's share it takes, an estimate in tokens."""

    tenant: str
    key: str = ""
    weight: int = 1
    priority: Priority = "normal"
    cost: int = 1


@dataclass(slots=True, eq=False)
class _Waiter:
    """One that waits. The result of `turn`: None with a slot, else the error to raise. `line`: whose share it is served of."""

    turn: "asyncio.Future[Overloaded | None]"
    line: str
    weight: int
    priority: Priority
    cost: int


class ConcurrencyLimiter:
    """One pool's room. Live: it outlasts reloads, which `configure` it. Used from one event loop only.

    Every entry that succeeds must be followed by one `leave`. `on_wait` is called with the seconds that each request
    has waited that got its turn; `refusals` counts the others.
    """

    def __init__(self, clock: Clock) -> None:
        self.in_flight = 0
        self.refusals: dict[Refusal, int] = dict.fromkeys(REFUSALS, 0)
        self.on_wait: Callable[[float], None] | None = None
        self._clock = clock
        self._limit: int | None = None
        self._queue: QueueSpec | None = None
        self._waiting: FairQueue[_Waiter] = FairQueue()
        self._service_s = Average()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def configure(self, max_inflight: int | None, queue: QueueSpec | None) -> None:
        """Go by these settings from now on: a higher limit wakes waiters at once, a lower one lets what runs drain.

        Who waits already keeps place and patience.
        """
        self._limit = max_inflight
        self._queue = queue
        self._hand_over()

    def try_enter(self) -> bool:
        """Take a slot where one is free (and so nobody waits)."""
        if self._limit is not None and self.in_flight >= self._limit:
            return False
        self.in_flight += 1
        return True

    async def enter(self, entry: QueueEntry, deadline_at: float | None = None) -> None:
        """Take a slot, waiting for it in turn: until `deadline_at` (in the event loop's time) or for `queue.wait`.

        Raises `Overloaded`, whose `retry_after_s` is an estimate of the wait from the rate at which requests leave.
        Cancelled at any moment, it holds neither place nor slot.
        """
        if self.try_enter():
            return
        loop = asyncio.get_running_loop()
        since = loop.time()
        line, weight = self._line(entry)
        waiter = _Waiter(loop.create_future(), line, weight, entry.priority, max(1, entry.cost))
        patience_s = self._line_up(waiter, None if deadline_at is None else deadline_at - since)
        timer = loop.call_at(since + patience_s, self._expire, waiter)
        try:
            error = await waiter.turn
        except BaseException:  # cancelled, or closed with its loop
            if not self._waiting.remove(waiter) and _has_slot(waiter.turn):
                self._release()
            raise
        finally:
            timer.cancel()
        if error is not None:
            raise error
        if self.on_wait is not None:
            self.on_wait(loop.time() - since)

    def leave(self, service_s: float) -> None:
        """Give a slot back, to whoever is next. `service_s`: for how long it was held."""
        if self._limit is not None:
            self._service_s.observe(service_s, self._clock.monotonic())
        self._release()

    def _release(self) -> None:
        self.in_flight -= 1
        self._hand_over()

    def _hand_over(self) -> None:
        """Give free slots to those that are next."""
        while self._waiting and (self._limit is None or self.in_flight < self._limit):
            turn = self._waiting.pop().turn
            if not turn.done():  # else it was cancelled in this turn of the loop
                self.in_flight += 1
                turn.set_result(None)

    def _line(self, entry: QueueEntry) -> tuple[str, int]:
        """Give in whose line one waits, and the line's weight."""
        match self._queue:
            case QueueSpec(fair_by="tenant"):
                return entry.tenant, entry.weight
            case QueueSpec(fair_by="key"):
                return entry.key, entry.weight
            case _:
                return "", 1

    def _line_up(self, waiter: _Waiter, left_s: float | None) -> float:
        """Let one wait; gives for how long it may. Raises `Overloaded` where it may not."""
        queue = self._queue
        wait_s = self._wait_s(waiter)
        if queue is None:
            raise self._refusal("no_queue", wait_s)
        patience_s = queue.wait_s if left_s is None else min(queue.wait_s, left_s)
        if wait_s > patience_s:
            raise self._refusal("too_long", wait_s)
        if self.waiting >= queue.max:
            other = self._waiting.yields_to(waiter.line, waiter.weight, waiter.priority)
            if other is None:
                raise self._refusal("full", wait_s)
            self._turn_away(other, "crowded_out")
        self._waiting.push(waiter, waiter.line, waiter.weight, waiter.cost, waiter.priority)
        return patience_s

    def _wait_s(self, waiter: _Waiter) -> float:
        """Estimate how long one would wait that came now; 0.0 while nothing is known."""
        if self._limit is None:
            return 0.0
        leaving_first = self.in_flight - self._limit + 1
        ahead = self._waiting.ahead_of(waiter.line, waiter.weight, waiter.cost, waiter.priority)
        return (leaving_first + ahead) * self._service_s.value / self._limit

    def _expire(self, waiter: _Waiter) -> None:
        self._turn_away(waiter, "timeout")

    def _turn_away(self, waiter: _Waiter, reason: Refusal) -> None:
        if self._waiting.remove(waiter) and not waiter.turn.done():
            waiter.turn.set_result(self._refusal(reason, self._wait_s(waiter)))

    def _refusal(self, reason: Refusal, wait_s: float) -> Overloaded:
        self.refusals[reason] += 1
        retry_after_s = max(MIN_QUEUE_RETRY_S, wait_s)
        match reason:
            case "no_queue":
                return Overloaded("too many requests at once for this pool", retry_after_s=retry_after_s)
            case "timeout":
                return QueueTimeout("no place became free in time", retry_after_s=retry_after_s)
            case "too_long":
                return QueueFull("the wait for a place would be too long", retry_after_s=retry_after_s)
            case "full" | "crowded_out":
                return QueueFull("too many requests wait for this pool", retry_after_s=retry_after_s)


def _has_slot(turn: "asyncio.Future[Overloaded | None]") -> bool:
    return turn.done() and not turn.cancelled() and turn.result() is None

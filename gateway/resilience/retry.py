"""Retries: how long to pause before one, and the budgets that keep them from turning one failure into an outage.

A pool has a budget of attempts beyond the first. A retry takes a token, and the outcome of the retry decides what becomes of it:

| the retry      | the token                                                                            |
|----------------|--------------------------------------------------------------------------------------|
| is answered    | comes back, and one more with it (up to `MOST`)                                      |
| fails          | is spent, and what was earned beyond the reserve is lost                             |
| is abandoned   | is spent: the provider had the request, however early the client left                |
| is never made  | comes back                                                                           |

A budget starts with `RESERVE` tokens, and each request of the pool adds `budget` of one, up to the reserve. While nothing
answers, retries are therefore at most `RESERVE` + `budget` × requests. While retries succeed, any number of requests can have
one: the number that may run at the same time grows with every answer, as a TCP window does.

A request that finds no token waits for the retries that are running: one of them may return a token. It does not wait once
`HOPELESS` retries in a row have failed, because in an outage the wait would be useless.
"""

import asyncio
import random
from collections import deque
from typing import Final

from gateway.config.spec import RetrySpec

RESERVE: Final = 10.0
MOST: Final = 1000.0
HOPELESS: Final = 10


def backoff_pause_s(retry: int, spec: RetrySpec, rng: random.Random) -> float:
    """Return the pause before the `retry`-th retry (from 1) at the same endpoint, in seconds.

    Exponential with full jitter: uniform from 0 to `backoff_s` · 2^(retry-1), at most `backoff_cap_s`. The jitter keeps requests
    that fail together from returning together (M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog 2015).
    """
    return rng.uniform(0.0, min(spec.backoff_cap_s, spec.backoff_s * 2.0 ** min(retry - 1, 30)))


class RetryToken:
    """The right to one attempt beyond the first. It ends once: the first call of a method counts."""

    __slots__ = ("_budget",)

    def __init__(self, budget: "RetryBudget") -> None:
        self._budget: RetryBudget | None = budget

    def answered(self) -> None:
        self._end(2.0, is_answered=True)

    def failed(self) -> None:
        self._end(0.0, is_answered=False)

    def abandoned(self) -> None:
        self._end(0.0)

    def unused(self) -> None:
        self._end(1.0)

    def _end(self, returned: float, *, is_answered: bool | None = None) -> None:
        budget, self._budget = self._budget, None
        if budget is not None:
            budget._note_end(returned, is_answered)


class RetryBudget:
    """The tokens of one pool. Live: survives reloads. Synchronous except for `take`; within one event loop every call is atomic."""

    __slots__ = ("_balance", "_failed", "_running", "_waiting")

    def __init__(self) -> None:
        self._balance = RESERVE
        self._running = 0
        self._failed = 0  # retries in a row
        self._waiting: deque[asyncio.Future[bool]] = deque()

    def note_request(self, share: float) -> None:
        """Count a request of the pool, which adds `share` of a token."""
        if self._balance < RESERVE:
            self._balance = min(RESERVE, self._balance + share)
            if self._waiting and self._balance >= 1.0:
                self._wake()

    def try_take(self) -> RetryToken | None:
        """Return a token, None where there is none now."""
        if self._balance < 1.0:
            return None
        self._balance -= 1.0
        self._running += 1
        return RetryToken(self)

    async def take(self, max_wait_s: float) -> RetryToken | None:
        """Return a token, None where the budget is used up. Waits up to `max_wait_s` while a running retry may return a token."""
        loop = asyncio.get_running_loop()
        until = loop.time() + max_wait_s
        while (token := self.try_take()) is None:
            left_s = until - loop.time()
            if not self._is_hopeful or left_s <= 0:
                return None
            turn: asyncio.Future[bool] = loop.create_future()
            self._waiting.append(turn)
            timer = loop.call_later(left_s, _finish, turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._wake()  # a turn that is not used goes to the next waiter
                raise
            finally:
                timer.cancel()
                if turn in self._waiting:
                    self._waiting.remove(turn)
        return token

    @property
    def _is_hopeful(self) -> bool:
        """Whether a running retry may return a token."""
        return self._running > 0 and self._failed < HOPELESS

    def _note_end(self, returned: float, is_answered: bool | None) -> None:
        self._running -= 1
        if is_answered is not None:
            self._failed = 0 if is_answered else self._failed + 1
        self._balance = min(RESERVE if is_answered is False else MOST, self._balance + returned)
        self._wake()

    def _wake(self) -> None:
        """Wake as many waiters as there are tokens; all of them, where no running retry may return one."""
        count = int(self._balance) if self._is_hopeful else len(self._waiting)
        while self._waiting and count > 0:
            turn = self._waiting.popleft()
            if not turn.done():  # else its waiter was cancelled, or its time is up: the wake-up goes to the next one
                turn.set_result(True)
                count -= 1


def _finish(turn: "asyncio.Future[bool]") -> None:
    if not turn.done():
        turn.set_result(True)


class HedgeBudget:
    """Limits the hedged requests of a pool to a share of its requests. Live."""

    __slots__ = ("_balance",)

    def __init__(self) -> None:
        self._balance = 0.0

    def note_request(self, share: float) -> None:
        """Count a request of the pool, which adds `share` of a hedge, up to ten."""
        self._balance = min(10.0, self._balance + share)

    def try_take(self) -> bool:
        """Take a token for one more hedged request; return whether there was one."""
        if self._balance < 1.0:
            return False
        self._balance -= 1.0
        return True

"""What keeps retries from becoming the outage: a pool's budget of attempts beyond the first, and of hedged requests.

A retry takes a token, and how it ends decides what becomes of the token:

| the retry      | the token                                                                            |
|----------------|--------------------------------------------------------------------------------------|
| is answered    | comes back, and one more with it (up to `MOST`)                                      |
| fails          | is spent, and what was earned beyond the reserve is forgotten                        |
| is abandoned   | is spent: the provider had the call, however early the client left                   |
| is never made  | comes back                                                                           |

There are `RESERVE` tokens at first, and each request of the pool adds `budget` of one, up to the reserve. So while nothing
answers, retries are at most `RESERVE` + `budget` × requests; and while retries help, however many requests need one, they
are not held back: the number that may run at the same time grows with every answer, as a TCP window does.

Where no token is left but retries are on their way, it pays to wait for how they end; but not once `HOPELESS` of them in a row
have failed: in an outage nobody shall wait for nothing.
"""

import asyncio
from collections import deque
from typing import Final

RESERVE: Final = 10.0
MOST: Final = 1000.0
HOPELESS: Final = 10


class RetryToken:
    """The right to one attempt beyond the first. It ends once; the first of its ends counts."""

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

    def _end(self, back: float, *, is_answered: bool | None = None) -> None:
        budget, self._budget = self._budget, None
        if budget is not None:
            budget._ended(back, is_answered)


class RetryBudget:
    """The tokens of one pool. Live: it outlasts reloads. Synchronous but for `take`; within one loop every call is atomic."""

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

    def try_take(self) -> RetryToken | None:
        """Give a token, or None where there is none now."""
        if self._balance < 1.0:
            return None
        self._balance -= 1.0
        self._running += 1
        return RetryToken(self)

    async def take(self, patience_s: float) -> RetryToken | None:
        """Give a token; where retries that run may free one, wait for it up to `patience_s`. None: the budget is used up."""
        loop = asyncio.get_running_loop()
        until = loop.time() + patience_s
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
                    self._wake()  # a turn that nobody takes is the next one's
                raise
            finally:
                timer.cancel()
                if turn in self._waiting:
                    self._waiting.remove(turn)
        return token

    @property
    def _is_hopeful(self) -> bool:
        """Whether anything is on its way that may free a token."""
        return self._running > 0 and self._failed < HOPELESS

    def _ended(self, back: float, is_answered: bool | None) -> None:
        self._running -= 1
        if is_answered is not None:
            self._failed = 0 if is_answered else self._failed + 1
        self._balance = min(RESERVE if is_answered is False else MOST, self._balance + back)
        self._wake()

    def _wake(self) -> None:
        """Let as many look again as there are tokens; all, where there is nothing to wait for."""
        count = int(self._balance) if self._is_hopeful else len(self._waiting)
        while self._waiting and count > 0:
            _finish(self._waiting.popleft())
            count -= 1


def _finish(turn: "asyncio.Future[bool]") -> None:
    if not turn.done():
        turn.set_result(True)


class HedgeBudget:
    """Which of a pool's requests may be hedged: at most a share of them. Live."""

    __slots__ = ("_balance",)

    def __init__(self) -> None:
        self._balance = 0.0

    def note_request(self, share: float) -> None:
        """Count a request of the pool, which adds `share` of a hedge, up to ten."""
        self._balance = min(10.0, self._balance + share)

    def try_take(self) -> bool:
        """Whether one more request may be hedged now."""
        if self._balance < 1.0:
            return False
        self._balance -= 1.0
        return True

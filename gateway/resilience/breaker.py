"""The breaker of one endpoint: leave it alone after failures in a row, try it again one probe at a time.

States and events (N = `failures`, M = `successes`, both in a row):

| state     | asked for a permit                              | a permit succeeds       | a permit fails       | a permit is abandoned |
|-----------|-------------------------------------------------|-------------------------|----------------------|-----------------------|
| closed    | given                                           | the count of failures   | counted; the N-th    | nothing               |
|           |                                                 | goes back to 0          | opens                |                       |
| open      | refused; once `recovery_s` has passed: becomes  | nothing (late)          | nothing (late)       | nothing (late)        |
|           | half-open and gives the first probe             |                         |                      |                       |
| half-open | given while no other probe runs, else refused   | counted; the M-th       | opens again, for     | the next probe may    |
|           |                                                 | closes                  | another `recovery_s` | start; not counted    |

And one event from outside: word that the same endpoint's breaker has opened in another worker (`trip`). It opens a closed or
half-open one, and one that has rested begins its rest again, so that one failed probe serves all workers; a rest that is
not over goes on as it is, so that no number of words prolongs it.

The odd case: an attempt may end long after the state it began in. Every change of state starts a new epoch, a permit
remembers its own, and a permit of an earlier epoch changes nothing. So the answers that trickle in after the opening can
neither close the breaker nor prolong its rest, and at most one permit of a half-open epoch is ever alive.

Switched off (no spec) it is closed for good.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Final

from gateway.config.spec import BreakerSpec
from gateway.core.clock import Clock

PROBE_WAIT_S: Final = 1.0  # a guess at how long a running probe takes: nobody can know


class BreakerState(IntEnum):
    """The numbers are those of the metric `gateway_breaker_state`."""

    CLOSED = 0
    OPEN = 1
    HALF_OPEN = 2

    @property
    def label(self) -> str:
        """The name for people: `closed`, `open`, `half_open`."""
        return self.name.lower()


class Permit:
    """The right to one attempt. It ends once: the first of `succeed`, `fail` and `abandon` counts, the rest do nothing.

    So `abandon` may stand in a `finally`, for all the ways out that said nothing else (the client left, the provider
    refused this one request).
    """

    __slots__ = ("_breaker", "_epoch")

    def __init__(self, breaker: "Breaker", epoch: int) -> None:
        self._breaker: Breaker | None = breaker
        self._epoch = epoch

    def succeed(self) -> None:
        """The endpoint answered."""
        breaker, self._breaker = self._breaker, None
        if breaker is not None and breaker._epoch == self._epoch:
            breaker._succeeded()

    def fail(self) -> None:
        """The endpoint is at fault."""
        breaker, self._breaker = self._breaker, None
        if breaker is not None and breaker._epoch == self._epoch:
            breaker._failed()

    def abandon(self) -> None:
        """The attempt says nothing about the endpoint."""
        breaker, self._breaker = self._breaker, None
        if breaker is not None and breaker._epoch == self._epoch:
            breaker._is_probing = False


OnChange = Callable[[BreakerState, BreakerState], None]


class Breaker:
    """Decides whether an endpoint may be asked. Synchronous: within one event loop every call is atomic.

    `on_change` is called with the state before and the state after, when the latter holds; it must not raise. That an
    open breaker has rested is no change until somebody asks. `opened_by_sibling`: its last opening was another worker's; else
    `opened_after` is how many failures in a row it took.
    """

    __slots__ = (
        "_clock",
        "_count",
        "_epoch",
        "_is_probing",
        "_opened_at",
        "_rest_s",
        "_spec",
        "_state",
        "on_change",
        "opened_after",
        "opened_by_sibling",
    )

    def __init__(self, spec: BreakerSpec | None, clock: Clock, on_change: OnChange | None = None) -> None:
        self.on_change = on_change
        self.opened_by_sibling = False
        self.opened_after = 0
        self._spec = spec
        self._clock = clock
        self._state = BreakerState.CLOSED
        self._count = 0  # failures in a row while closed, successes in a row while half-open
        self._epoch = 0
        self._opened_at = 0.0
        self._rest_s: float | None = None  # None: as long as the spec says
        self._is_probing = False

    @property
    def state(self) -> BreakerState:
        """The state now; an open breaker whose rest is over is half-open, though nobody has asked yet."""
        return BreakerState.HALF_OPEN if self._is_rested() else self._state

    @property
    def is_available(self) -> bool:
        """Whether `try_acquire` would give a permit now."""
        if self._state is BreakerState.CLOSED:
            return True
        return self._is_rested() if self._state is BreakerState.OPEN else not self._is_probing

    def try_acquire(self) -> Permit | None:
        """Give the right to one attempt, or None where the endpoint is to be left alone. Every permit must be ended."""
        if self._state is not BreakerState.CLOSED:
            if not self.is_available:
                return None
            if self._state is BreakerState.OPEN:
                self._become(BreakerState.HALF_OPEN)
            self._is_probing = True
        return Permit(self, self._epoch)

    def retry_in_s(self) -> float:
        """Give the seconds until asking again makes sense; 0.0 where it does now."""
        if self.is_available:
            return 0.0
        if self._state is BreakerState.OPEN and self._spec is not None:
            return self._rested_at(self._spec) - self._clock.monotonic()
        return PROBE_WAIT_S

    def trip(self, rest_s: float | None = None) -> None:
        """Open because another worker's breaker of the same endpoint did, for what is left of its rest, our own at most.

        None: for our own. Nothing where it is open already and its rest is not over, or where it is switched off.
        """
        if self._spec is None or (self._state is BreakerState.OPEN and not self._is_rested()):
            return
        self._rest_s = rest_s
        self._open(opened_by_sibling=True)

    def reconfigure(self, spec: BreakerSpec | None) -> None:
        """Go by `spec` from now on, in the state and with the counts at hand; switched off, forget both."""
        self._spec = spec
        if spec is None:
            self._become(BreakerState.CLOSED)

    def _is_rested(self) -> bool:
        if self._state is not BreakerState.OPEN or self._spec is None:
            return False
        return self._clock.monotonic() >= self._rested_at(self._spec)

    def _rested_at(self, spec: BreakerSpec) -> float:
        rest_s = spec.recovery_s if self._rest_s is None else min(self._rest_s, spec.recovery_s)
        return self._opened_at + rest_s

    def _succeeded(self) -> None:
        self._is_probing = False
        if self._state is BreakerState.CLOSED:
            self._count = 0
            return
        self._count += 1
        if self._spec is not None and self._count >= self._spec.successes:
            self._become(BreakerState.CLOSED)

    def _failed(self) -> None:
        if self._spec is None:
            return
        self._count += 1
        if self._state is BreakerState.HALF_OPEN or self._count >= self._spec.failures:
            self.opened_after = self._count if self._state is BreakerState.CLOSED else 1
            self._rest_s = None
            self._open(opened_by_sibling=False)

    def _open(self, *, opened_by_sibling: bool) -> None:
        self._opened_at = self._clock.monotonic()
        self.opened_by_sibling = opened_by_sibling
        self._become(BreakerState.OPEN)

    def _become(self, state: BreakerState) -> None:
        before, self._state = self._state, state
        self._epoch += 1
        self._count = 0
        self._is_probing = False
        if self.on_change is not None and before is not state:
            self.on_change(before, state)

"""The breaker of one endpoint: block it after failures in a row, then try it again with one probe at a time.

States and events (N = `failures`, M = `successes`, both in a row):

| state     | `try_acquire`                                   | a permit succeeds       | a permit fails       | a permit is abandoned |
|-----------|-------------------------------------------------|-------------------------|----------------------|-----------------------|
| closed    | granted                                         | the count of failures   | counted; the N-th    | nothing               |
|           |                                                 | returns to 0            | opens                |                       |
| open      | refused; once `recovery_s` has passed: becomes  | nothing (late)          | nothing (late)       | nothing (late)        |
|           | half-open and grants the first probe            |                         |                      |                       |
| half-open | granted while no other probe runs, else refused | counted; the M-th       | opens again, for     | the next probe may    |
|           |                                                 | closes                  | another `recovery_s` | start; not counted    |

A permit of a half-open breaker may learn of the first content of a stream (`answered`) before the stream ends. That is its success: it is
counted, and the next probe may start, while the stream goes on. If the stream breaks off later, the permit fails as in the table.
If it is the M-th success, the breaker closes and the permit belongs to the closed state from then on. A closed breaker counts a
stream at its end, so that streams which all break off still open it.

One event comes from outside: the same endpoint's breaker has opened in another worker (`trip`). It opens a breaker that is closed
or half-open. Where the recovery time of an open one is over, it begins again, so that one failed probe serves all workers.
Where it is not over, it continues unchanged, so that repeated events do not prolong it.

The odd case: an attempt may end long after the state in which it began. Every change of state starts a new epoch, a permit
remembers its epoch, and a permit of an earlier epoch changes nothing. So responses that arrive after the opening can neither close
the breaker nor prolong its recovery time, and a half-open epoch has at most one live permit that is not yet answered.

A breaker that is switched off (no spec) is always closed.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Final

from gateway.config.spec import BreakerSpec
from gateway.core.clock import Clock

PROBE_WAIT_S: Final = 1.0  # an estimate of how long a running probe takes


class BreakerState(IntEnum):
    """The numbers are the values of the metric `gateway_breaker_state`."""

    CLOSED = 0
    OPEN = 1
    HALF_OPEN = 2

    @property
    def label(self) -> str:
        """The name in reports: `closed`, `open`, `half_open`."""
        return self.name.lower()


class Permit:
    """The right to one attempt. It ends once: the first of `succeed`, `fail` and `abandon` counts, later calls do nothing.

    So `abandon` may stand in a `finally`, for every other way out (the client left, the provider rejected this one request).
    """

    __slots__ = ("_breaker", "_epoch", "_is_counted")

    def __init__(self, breaker: "Breaker", epoch: int) -> None:
        self._breaker: Breaker | None = breaker
        self._epoch = epoch
        self._is_counted = False  # as a success of the half-open state, which still holds

    def answered(self) -> None:
        """Record the first content: a half-open breaker counts it as the success and lets the next probe start."""
        breaker = self._breaker
        if (
            breaker is None
            or breaker._epoch != self._epoch
            or breaker._state is BreakerState.CLOSED
            or self._is_counted
        ):
            return
        breaker._succeeded()
        self._is_counted = breaker._epoch == self._epoch
        self._epoch = breaker._epoch

    def succeed(self) -> None:
        """Record that the endpoint answered."""
        breaker, self._breaker = self._breaker, None
        if breaker is not None and breaker._epoch == self._epoch and not self._is_counted:
            breaker._succeeded()

    def fail(self) -> None:
        """Record that the endpoint is at fault."""
        breaker, self._breaker = self._breaker, None
        if breaker is not None and breaker._epoch == self._epoch:
            breaker._failed()

    def abandon(self) -> None:
        """Record nothing; return the slot of the probe."""
        breaker, self._breaker = self._breaker, None
        if breaker is not None and breaker._epoch == self._epoch and not self._is_counted:
            breaker._is_probing = False


OnChange = Callable[[BreakerState, BreakerState], None]


class Breaker:
    """Decides whether an endpoint may get a request. Synchronous: within one event loop every call is atomic.

    `on_change` is called with the old and the new state, after the change; it must not raise. The end of the recovery time is no
    change until `try_acquire` is called. `opened_by_sibling`: the last opening was another worker's; otherwise `opened_after`
    is the number of failures in a row that caused it.
    """

    __slots__ = (
        "_clock",
        "_count",
        "_epoch",
        "_is_probing",
        "_opened_at",
        "_recovery_s",
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
        self._recovery_s: float | None = None  # None: `recovery_s` of the spec
        self._is_probing = False

    @property
    def state(self) -> BreakerState:
        """The state now. An open breaker is half-open once its recovery time is over, even before the first `try_acquire`."""
        return BreakerState.HALF_OPEN if self._may_probe() else self._state

    @property
    def is_available(self) -> bool:
        """Whether `try_acquire` would return a permit now."""
        if self._state is BreakerState.CLOSED:
            return True
        return self._may_probe() if self._state is BreakerState.OPEN else not self._is_probing

    def try_acquire(self) -> Permit | None:
        """Return the right to one attempt, None where the endpoint is blocked. Every permit must be ended."""
        if self._state is not BreakerState.CLOSED:
            if not self.is_available:
                return None
            if self._state is BreakerState.OPEN:
                self._become(BreakerState.HALF_OPEN)
            self._is_probing = True
        return Permit(self, self._epoch)

    def retry_in_s(self) -> float:
        """Return the seconds until a retry makes sense; 0.0 where it does now."""
        if self.is_available:
            return 0.0
        if self._state is BreakerState.OPEN and self._spec is not None:
            return self._probe_allowed_at(self._spec) - self._clock.monotonic()
        return PROBE_WAIT_S

    def trip(self, remaining_s: float | None = None) -> None:
        """Open because another worker's breaker of the same endpoint has opened.

        `remaining_s`: the rest of that breaker's recovery time, at most this breaker's own; None: this breaker's own. Nothing
        happens where this breaker is open and its recovery time is not over, or where it is switched off.
        """
        if self._spec is None or (self._state is BreakerState.OPEN and not self._may_probe()):
            return
        self._recovery_s = remaining_s
        self._open(opened_by_sibling=True)

    def reconfigure(self, spec: BreakerSpec | None) -> None:
        """Use `spec` from now on. The state and the counts stay; without a spec both are reset."""
        self._spec = spec
        if spec is None:
            self._become(BreakerState.CLOSED)

    def _may_probe(self) -> bool:
        if self._state is not BreakerState.OPEN or self._spec is None:
            return False
        return self._clock.monotonic() >= self._probe_allowed_at(self._spec)

    def _probe_allowed_at(self, spec: BreakerSpec) -> float:
        recovery_s = spec.recovery_s if self._recovery_s is None else min(self._recovery_s, spec.recovery_s)
        return self._opened_at + recovery_s

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
            self._recovery_s = None
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

"""The breaker against a slow, literal reading of its table, over any order of events."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.config.spec import BreakerSpec
from gateway.resilience.breaker import Breaker, BreakerState, Permit


class HandClock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


@dataclass
class Model:
    """The table in words: what has happened since the last change of state, and which permits that state gave."""

    spec: BreakerSpec
    state: str = "closed"
    results: list[bool] = field(default_factory=list)
    alive: set[int] = field(default_factory=set)
    answered: set[int] = field(default_factory=set)  # streams that the half-open state has counted, and which go on
    rested_at: float = 0.0

    def change(self, state: str) -> None:
        self.state, self.results, self.alive, self.answered = state, [], set(), set()

    def would_give(self, now: float) -> bool:
        match self.state:
            case "closed":
                return True
            case "open":
                return now >= self.rested_at
            case _:
                return not self.alive

    def give(self, number: int) -> None:
        if self.state == "open":
            self.change("half_open")
        self.alive.add(number)

    def answer(self, number: int, now: float) -> None:
        if self.state == "half_open" and number in self.alive:
            self.end(number, True, now)
            (self.answered if self.state == "half_open" else self.alive).add(number)

    def end(self, number: int, is_ok: bool | None, now: float) -> None:
        if number in self.answered:
            self.answered.discard(number)
            if is_ok is False:
                self.open(now, self.spec.recovery_s)
            return
        if number not in self.alive:
            return
        self.alive.discard(number)
        if is_ok is None:
            return
        self.results.append(is_ok)
        failures, successes = self.spec.failures, self.spec.successes
        if self.state == "half_open":
            if not is_ok:
                self.open(now, self.spec.recovery_s)
            elif len(self.results) == successes:
                self.change("closed")
        elif len(self.results) >= failures and not any(self.results[-failures:]):
            self.open(now, self.spec.recovery_s)

    def open(self, now: float, rest_s: float) -> None:
        self.change("open")
        self.rested_at = now + rest_s

    def hear(self, now: float, rest_s: float | None) -> None:
        if self.state != "open" or now >= self.rested_at:
            own = self.spec.recovery_s
            self.open(now, own if rest_s is None else min(own, rest_s))


class BreakerMachine(RuleBasedStateMachine):
    @initialize(failures=st.integers(1, 4), successes=st.integers(1, 3))
    def start(self, failures: int, successes: int) -> None:
        spec = BreakerSpec(failures, 10.0, successes)
        self.clock = HandClock()
        self.changes: list[tuple[BreakerState, BreakerState]] = []
        self.breaker = Breaker(spec, self.clock, lambda before, after: self.changes.append((before, after)))
        self.model = Model(spec)
        self.permits: dict[int, Permit] = {}
        self.given = 0

    @rule()
    def acquire(self) -> None:
        expected = self.model.would_give(self.clock.now)
        assert self.breaker.is_available is expected
        permit = self.breaker.try_acquire()
        assert (permit is not None) is expected
        if permit is not None:
            self.given += 1
            self.permits[self.given] = permit
            self.model.give(self.given)

    @precondition(lambda self: self.permits)
    @rule(data=st.data(), result=st.sampled_from([True, False, None]))
    def end(self, data: st.DataObject, result: bool | None) -> None:
        number = data.draw(st.sampled_from(sorted(self.permits)))
        permit = self.permits.pop(number)
        {True: permit.succeed, False: permit.fail, None: permit.abandon}[result]()
        self.model.end(number, result, self.clock.now)
        permit.fail()  # a second end is no end

    @precondition(lambda self: self.permits)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.permits)))
        self.permits[number].answered()
        self.model.answer(number, self.clock.now)

    @rule(rest_s=st.sampled_from([None, 0.0, 4.0, 10.0, 1e6]))
    def hear_of_a_sibling(self, rest_s: float | None) -> None:
        self.breaker.trip(rest_s)
        self.model.hear(self.clock.now, rest_s)

    @rule(seconds=st.sampled_from([1.0, 5.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def agrees_with_the_table(self) -> None:
        if not hasattr(self, "model"):
            return
        expected = self.model.state
        if expected == "open" and self.model.would_give(self.clock.now):
            expected = "half_open"
        assert self.breaker.state is BreakerState[expected.upper()]
        assert (self.breaker.retry_in_s() == 0.0) is self.breaker.is_available
        assert self.breaker.retry_in_s() >= 0.0

    @invariant()
    def every_change_was_told_and_nothing_else(self) -> None:
        if not hasattr(self, "model"):
            return
        state = BreakerState.CLOSED
        for before, after in self.changes:
            assert before is state and after is not state
            state = after
        assert state is BreakerState[self.model.state.upper()]

    @invariant()
    def never_more_than_one_probe(self) -> None:
        if hasattr(self, "model") and self.model.state == "half_open":
            assert len(self.model.alive) <= 1


TestBreaker = BreakerMachine.TestCase
TestBreaker.settings = settings(max_examples=150, stateful_step_count=40, deadline=None, derandomize=True)

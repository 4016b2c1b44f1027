"""The books of an attempt: what each of its ends leaves with the endpoint, its breaker, the retry's token and the gate."""

import pytest

from gateway.core.errors import (
    ClientStalled,
    CredentialRefused,
    GatewayError,
    Rejected,
    StreamInterrupted,
    Unavailable,
    UpstreamRateLimited,
)
from gateway.core.exchange import Exchange
from gateway.core.response import Response
from gateway.pools.target import Target
from gateway.providers.response import UpstreamResponse, WireRequest
from gateway.resilience.retry import RESERVE, RetryBudget
from gateway.streaming.download import Download
from gateway.upstream.attempt import Attempt
from tests.support.clock import FakeClock
from tests.support.dispatching import config
from tests.support.replay import FakeConnection, ReplayWorker

TEXT = config("main: {members: [m-a]}", more="defaults: {breaker: {failures: 1, recovery: 30s, successes: 2}}")
REJECTION = Rejected("no", status=404, body=b"", content_type="")


@pytest.fixture
async def line(clock: FakeClock) -> ReplayWorker:
    return ReplayWorker(TEXT, clock)


class Books:
    """A trial with everything that an attempt may hold."""

    def __init__(self, line: ReplayWorker) -> None:
        self.line = line
        self.exchange: Exchange = line.exchange("auto")
        stage = line.path(self.exchange).stages[0]
        self.target: Target = stage.targets[0]
        self.endpoint = self.target.endpoint
        self.budget = RetryBudget()
        self.limiter = stage.state.limiter
        self.attempt = Attempt(self.exchange, self.target, "main", self.budget.try_take(), line.services)

    def answer(self, *, is_streamed: bool = False) -> "Books":
        call = WireRequest(self.target.provider.origin, b"", b"", self.target.timeouts, is_streamed, None, 1.0)
        self.answered = answer = UpstreamResponse(FakeConnection(), call)  # type: ignore[arg-type]
        if is_streamed:
            self.attempt.succeed(Response(200, {}, source=Download(answer)))
        else:
            answer.close()  # its body is complete
            self.attempt.succeed(Response(200, {}, body=b"{}"))
        return self

    @property
    def balance(self) -> float:
        return self.budget._balance - RESERVE

    def is_closed(self) -> bool:
        """Whether nothing is held."""
        return not (self.endpoint.in_flight or self.endpoint.load.in_flight or self.budget._running)


async def test_an_attempt_is_written_down_when_it_begins(line: ReplayWorker) -> None:
    books = Books(line)
    assert (books.endpoint.in_flight, books.endpoint.load.in_flight) == (1, 1)
    assert [(one.endpoint, one.outcome) for one in books.exchange.attempts] == [("a/m-a", "running")]
    assert (books.exchange.model, books.exchange.provider) == ("m-a", "a")


@pytest.mark.parametrize(
    ("error", "is_failure", "opens", "balance"),
    [
        (Unavailable("down"), True, True, -1),
        (UpstreamRateLimited("slow down"), True, False, -1),
        (CredentialRefused("who?"), True, False, -1),
        (REJECTION, False, False, -1),
    ],
    ids=["unavailable", "rate limited", "key refused", "rejected"],
)
async def test_a_failure_counts_as_its_fault_says(
    line: ReplayWorker, error: GatewayError, is_failure: bool, opens: bool, balance: int
) -> None:
    books = Books(line)
    books.attempt.fail(error)
    assert (books.exchange.attempts[0].outcome, books.exchange.attempts[0].code) == ("failed", error.error_code)
    assert books.endpoint.failures.weight == (1.0 if is_failure else 0.0)
    assert books.endpoint.breaker.is_available is not opens
    assert books.balance == balance
    assert books.is_closed()


async def test_a_rejection_does_not_forget_what_retries_have_earned(line: ReplayWorker) -> None:
    """It is an answer: the provider lives."""
    for error, left in ((REJECTION, 49.0), (Unavailable("down"), 0.0)):
        books = Books(line)
        books.budget._balance += 50
        books.attempt.fail(error)
        assert books.balance == left


async def test_abandoned_it_says_nothing_but_its_retry_was_a_call(line: ReplayWorker) -> None:
    books = Books(line)
    books.attempt.abandon()
    assert books.attempt.was_abandoned
    assert books.endpoint.failures.weight == 0.0
    assert books.endpoint.breaker.is_available
    assert books.balance == -1
    assert books.is_closed()


async def test_the_first_content_of_a_stream_frees_the_probe(line: ReplayWorker, clock: FakeClock) -> None:
    line.endpoints["a/m-a"].breaker.trip()
    clock.advance(30)
    books = Books(line)
    assert not books.endpoint.breaker.is_available
    books.answer(is_streamed=True)
    assert books.endpoint.breaker.is_available
    books.attempt.discard()


async def test_a_probe_that_is_abandoned_gives_its_place_back(line: ReplayWorker, clock: FakeClock) -> None:
    line.endpoints["a/m-a"].breaker.trip()
    clock.advance(30)
    books = Books(line)
    assert not books.endpoint.breaker.is_available
    books.attempt.abandon()
    assert books.endpoint.breaker.is_available


async def test_asked_in_spite_of_its_breaker_it_neither_closes_nor_hurts_it(line: ReplayWorker) -> None:
    breaker = line.endpoints["a/m-a"].breaker
    breaker.trip()
    rest_s = breaker.retry_in_s()
    with Books(line).answer().attempt:
        pass
    Books(line).attempt.fail(Unavailable("down"))
    assert (breaker.state.label, breaker.retry_in_s()) == ("open", rest_s)


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_an_answer_tells_how_long_it_took(line: ReplayWorker, clock: FakeClock, is_streamed: bool) -> None:
    books = Books(line)
    books.endpoint.credential.is_refused = True
    clock.advance(3)
    books.answer(is_streamed=is_streamed)
    taken, other = books.endpoint.first_token_s, books.endpoint.answer_s
    if not is_streamed:
        taken, other = other, taken
    assert (taken.value, other.weight) == (3.0, 0.0)
    assert (books.endpoint.failures.value, books.endpoint.failures.weight) == (0.0, 1.0)
    assert not books.endpoint.credential.is_refused
    assert books.balance == 1
    assert not books.exchange.timeline.first_content_at  # it is not the client's yet
    books.attempt.choose()
    assert (books.exchange.pool, books.exchange.timeline.first_content_at) == ("main", clock.monotonic())
    books.attempt.discard()
    assert books.is_closed()


@pytest.mark.parametrize(
    ("error", "outcome", "opens"),
    [
        (None, "ok", False),
        (StreamInterrupted("cut"), "failed", True),
        (ClientStalled("the client takes nothing"), "abandoned", False),
        (KeyboardInterrupt(), "abandoned", False),
    ],
    ids=["well", "interrupted", "stalled", "something else"],
)
async def test_the_relay_decides_how_an_answer_ends(
    line: ReplayWorker, clock: FakeClock, error: BaseException | None, outcome: str, opens: bool
) -> None:
    books = Books(line).answer()
    clock.advance(2)

    def relay() -> None:
        with books.attempt:
            if error is not None:
                raise error

    if error is None:
        relay()
    else:
        with pytest.raises(type(error)):
            relay()
    assert books.exchange.attempts[0].outcome == outcome
    assert books.endpoint.breaker.is_available is not opens
    assert books.answered._connection is None
    assert books.exchange.timeline.waited_s == pytest.approx(2.0)
    assert books.is_closed()


async def test_the_gate_is_left_at_the_end_with_the_time_that_it_was_held(line: ReplayWorker, clock: FakeClock) -> None:
    books = Books(line).answer()
    books.limiter.configure(1, None)
    assert books.limiter.try_acquire()
    books.attempt.hold(books.limiter, clock.monotonic())
    clock.advance(4)
    with books.attempt:
        assert books.limiter.in_flight == 1
    assert books.limiter.in_flight == 0
    assert books.limiter._service_s.value == 4.0


@pytest.mark.parametrize("is_answered", [False, True])
async def test_discarding_ends_what_runs_and_nothing_else(line: ReplayWorker, is_answered: bool) -> None:
    books = Books(line)
    if is_answered:
        books.answer()
    books.attempt.discard()
    books.attempt.discard()
    assert books.exchange.attempts[0].outcome == "abandoned"
    assert books.is_closed()
    failed = Books(line)
    failed.attempt.fail(REJECTION)
    failed.attempt.discard()
    assert failed.exchange.attempts[0].outcome == "failed"
    assert failed.is_closed()


async def test_a_failure_is_logged_before_the_breaker_that_it_opens(
    line: ReplayWorker, caplog: pytest.LogCaptureFixture
) -> None:
    books = Books(line)
    books.attempt.fail(Unavailable("the provider answered 503"))
    attempt, breaker = caplog.records
    assert (attempt.getMessage(), breaker.getMessage()) == ("attempt failed", "breaker opened")
    assert vars(attempt)["request_id"] == vars(breaker)["request_id"] == books.exchange.id
    assert vars(breaker)["fault"] == "server_error"
    assert vars(breaker)["detail"] == "the provider answered 503"

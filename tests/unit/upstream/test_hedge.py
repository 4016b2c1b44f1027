"""The race of two attempts: who is given, and that the other has ended whatever happens."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.core.errors import DeadlineExceeded, Rejected, Unavailable
from gateway.core.exchange import Exchange
from gateway.core.response import Response
from gateway.providers.response import UpstreamResponse, WireRequest
from gateway.streaming.download import Download
from gateway.upstream.attempt import Attempt
from gateway.upstream.hedge import race
from tests.support.dispatching import leaks, outcomes, replay_worker
from tests.support.loops import in_virtual_time, on_every_loop
from tests.support.replay import FakeConnection, ReplayWorker

Deed = Callable[[Attempt], Awaitable[Attempt | None]]
FAILURE = Unavailable("down")
REJECTION = Rejected("no", status=404, body=b"", content_type="")


class Runners:
    """Two trials of one request, and what each does when it is waited for: a delay, then an end."""

    def __init__(self, first: tuple[float, object], second: tuple[float, object] | None) -> None:
        self.line: ReplayWorker = replay_worker("main: {members: [m-a, m-b]}")
        self.exchange: Exchange = self.line.exchange("auto")
        self.targets = self.line.path(self.exchange).stages[0].targets
        self.deeds = {0: first, 1: second}
        self.attempts: list[Attempt] = []

    def begin(self) -> Attempt | None:
        if self.deeds[len(self.attempts)] is None:
            return None
        attempt = Attempt(self.exchange, self.targets[len(self.attempts)], "main", None, self.line.services)
        self.attempts.append(attempt)
        return attempt

    async def answered(self, attempt: Attempt) -> Attempt | None:
        deed = self.deeds[self.attempts.index(attempt)]
        assert deed is not None
        delay_s, end = deed
        try:
            await asyncio.sleep(delay_s)
        except BaseException:
            attempt.abandon()
            raise
        if end == "answer":
            answer = UpstreamResponse(FakeConnection(), _call(attempt))  # type: ignore[arg-type]
            self.line.transport.answers.append(answer)
            attempt.succeed(Response(200, {}, source=Download(answer)))
            return attempt
        assert isinstance(end, Unavailable | Rejected)
        attempt.fail(end)
        if isinstance(end, Rejected):
            raise end
        return None

    async def race(self, after_s: float = 1.0) -> Attempt | None:
        first = self.begin()
        assert first is not None
        return await race(self.answered, first, self.begin, after_s)


def _call(attempt: Attempt) -> WireRequest:
    return WireRequest(attempt.target.provider.origin, b"", b"", attempt.target.timeouts, False, None, 1.0)


@pytest.mark.parametrize(
    ("first", "second", "winner", "ends"),
    [
        ((0.5, "answer"), (0.0, "answer"), 0, ["running"]),
        ((5.0, "answer"), None, 0, ["running"]),
        ((1.5, "answer"), (1.0, "answer"), 0, ["running", "abandoned"]),
        ((5.0, "answer"), (1.0, "answer"), 1, ["abandoned", "running"]),
        ((2.0, "answer"), (1.0, "answer"), 0, ["running", "abandoned"]),
        ((1.5, FAILURE), (1.0, "answer"), 1, ["failed", "running"]),
        ((5.0, "answer"), (1.0, FAILURE), 0, ["running", "failed"]),
        ((5.0, "answer"), (1.0, REJECTION), 0, ["running", "failed"]),
        ((1.5, FAILURE), (1.0, FAILURE), None, ["failed", "failed"]),
        ((0.5, FAILURE), (1.0, "answer"), None, ["failed"]),
    ],
)
@in_virtual_time
async def test_the_first_answer_is_given_and_the_other_trial_has_ended(
    first: tuple[float, object], second: tuple[float, object] | None, winner: int | None, ends: list[str]
) -> None:
    runners = Runners(first, second)
    given = await runners.race()
    assert given is (None if winner is None else runners.attempts[winner])
    assert outcomes(runners.exchange) == ends
    if given is not None:
        with given:
            pass
    assert not leaks(runners.line)


@pytest.mark.parametrize("first", [(0.5, REJECTION), (1.5, REJECTION)], ids=["before", "after the second was asked"])
@in_virtual_time
async def test_an_error_that_nobody_else_can_mend_is_raised(first: tuple[float, object]) -> None:
    runners = Runners(first, (1.0, FAILURE))
    with pytest.raises(Rejected):
        await runners.race()
    assert "running" not in outcomes(runners.exchange)
    assert not leaks(runners.line)


@pytest.mark.parametrize("turns", range(12))
@on_every_loop
async def test_cancelled_at_any_turn_it_leaves_no_trial_running(turns: int) -> None:
    for after_s in (0.0, 1.0):
        runners = Runners((0.0, "answer"), (0.0, "answer"))
        task = asyncio.ensure_future(runners.race(after_s))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        try:
            winner = await task
        except asyncio.CancelledError:
            assert "running" not in outcomes(runners.exchange)
        else:
            assert winner is not None
            with winner:
                pass
        assert not leaks(runners.line)


@in_virtual_time
async def test_a_trial_whose_task_never_began_has_ended_too() -> None:
    """Cancelled in the very turn in which the race begins."""
    runners = Runners((1.0, "answer"), None)

    async def cancel_at_once() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await runners.race()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.ensure_future(cancel_at_once())
    assert outcomes(runners.exchange) == ["abandoned"]
    assert not leaks(runners.line)


@in_virtual_time
async def test_a_mistake_of_our_own_is_not_hidden_and_leaves_nothing_behind() -> None:
    runners = Runners((5.0, "answer"), (0.0, None))  # an end that nobody knows
    with pytest.raises(BaseExceptionGroup):
        await runners.race()
    assert "running" not in outcomes(runners.exchange)
    assert not leaks(runners.line)


@pytest.mark.parametrize(
    "first", [(5.0, "answer"), (5.0, FAILURE), (5.0, REJECTION)], ids=["answer", "down", "rejected"]
)
@in_virtual_time
async def test_a_second_one_that_comes_too_late_leaves_the_first_to_its_end(first: tuple[float, object]) -> None:
    """Its error is not that of the request: an `ExceptionGroup` of it would be answered with 500."""
    runners = Runners(first, None)
    one = runners.begin()
    assert one is not None

    def too_late() -> Attempt | None:
        raise DeadlineExceeded("no time is left for another attempt (total clock)")

    racing = race(runners.answered, one, too_late, 1.0)
    if first[1] is REJECTION:
        with pytest.raises(Rejected):
            await racing
    else:
        given = await racing
        assert given is (one if first[1] == "answer" else None)
        if given is not None:
            with given:
                pass
    assert not leaks(runners.line)

"""Retry budgets under load: no storm in an outage, no refusal while retries help, and nothing lost on the way."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.errors import UpstreamError
from gateway.providers.response import UpstreamResponse, WireRequest
from gateway.resilience.retry import RESERVE, RetryBudget, RetryToken
from tests.support.dispatching import LoopClock, config, delayed, dispatch_and_read, leaks
from tests.support.loops import VirtualTimeLoop
from tests.support.replay import ReplayWorker, ScriptedResponse, completion, full_response, stream

HOSTS = "abcde"
SHARE = 0.2


def in_time(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(work)


def line_of_size(size: int, more: str = "") -> ReplayWorker:
    members = ", ".join(f"m-{host}" for host in HOSTS[:size])
    pools = f"main: {{members: [{members}], balance: round_robin{more}}}"
    return ReplayWorker(config(pools, hosts=HOSTS, more="defaults: {breaker: none}"), LoopClock())


async def crowd(
    line: ReplayWorker, count: int, concurrency: int, patience_s: float | None = None
) -> list[BaseException | None]:
    """Ask so often, so many at a time; gives what went wrong of each. Clients leave after `patience_s`."""
    left, errors = iter(range(count)), []

    async def client() -> None:
        for number in left:
            try:
                async with asyncio.timeout(patience_s):
                    await dispatch_and_read(line, line.exchange("auto", stream=number % 2 == 0))
                errors.append(None)
            except (UpstreamError, TimeoutError) as error:
                errors.append(error)

    await asyncio.gather(*(client() for _ in range(concurrency)))
    return errors


OUTAGES = {
    "500": full_response(b"{}", 500),
    "429": full_response(b"{}", 429),
    "429 told": full_response(b"{}", 429, retry_after="1"),
    "silence": ScriptedResponse(status=0, is_open=True),
}


@pytest.mark.parametrize("outage", OUTAGES)
@given(
    size=st.integers(1, 5),
    concurrency=st.integers(1, 200),
    attempts=st.integers(1, 6),
    delay_s=st.sampled_from([0.0, 0.05, 3.0]),
)
@settings(max_examples=5, deadline=None)
def test_in_a_total_outage_calls_are_the_requests_and_a_fifth_and_ten(
    outage: str, size: int, concurrency: int, attempts: int, delay_s: float
) -> None:
    async def run() -> None:
        line = line_of_size(size, f", retry: {{attempts: {attempts}}}")
        line.play(**dict.fromkeys(HOSTS, delayed(OUTAGES[outage], delay_s)))
        assert None not in await crowd(line, 300, concurrency)
        assert len(line.transport.calls) <= (1 + SHARE) * 300 + RESERVE
        assert not leaks(line)

    in_time(run())


@given(concurrency=st.integers(1, 200), patience_s=st.sampled_from([0.5, 1.0, 2.5]))
@settings(max_examples=5, deadline=None)
def test_clients_that_lose_patience_in_an_outage_don_t_multiply_its_calls(concurrency: int, patience_s: float) -> None:
    """A retry that its client did not wait for has been a call all the same."""

    async def run() -> None:
        line = line_of_size(2)
        line.play(a=full_response(b"{}", 500), b=ScriptedResponse(status=0, is_open=True))
        await crowd(line, 300, concurrency, patience_s)
        assert len(line.transport.calls) <= (1 + SHARE) * 300 + RESERVE
        assert not leaks(line)

    in_time(run())


@given(
    concurrency=st.integers(1, 200),
    seed=st.integers(0, 10_000),
    service_s=st.sampled_from([0.0, 0.05, 0.3, 3.0]),
    is_short=st.booleans(),
)
@settings(max_examples=8, deadline=None)
def test_a_primary_that_fails_half_of_its_calls_costs_no_answer(
    concurrency: int, seed: int, service_s: float, is_short: bool
) -> None:
    """With a healthy pool-mate, at any concurrency: what the retries earn lets as many more be made."""

    async def run() -> None:
        line = line_of_size(2, ", retry: {attempts: 2}" if is_short else "")
        bad = full_response(b"{}", 500)

        async def asked(call: WireRequest) -> UpstreamResponse:
            host = call.origin.host.removesuffix(".test")
            good = delayed(stream() if call.is_stream else full_response(completion()), service_s)
            line.play(**{host: bad if host == "a" and coin.random() < 0.5 else good})
            return await replay(call)

        coin, replay = random.Random(seed), line.transport.send
        line.transport.send = asked  # type: ignore[method-assign]
        assert await crowd(line, 600, concurrency) == [None] * 600
        assert not leaks(line)

    in_time(run())


STEPS = st.lists(
    st.one_of(
        st.just(("request", 0)),
        st.just(("take", 0)),
        st.tuples(st.sampled_from(["answered", "failed", "abandoned", "unused"]), st.integers(0, 30)),
    ),
    max_size=200,
)


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_retries_that_are_not_answered_are_at_most_the_reserve_and_the_share(
    steps: list[tuple[str, int]],
) -> None:
    """Over any history: each answer allows two more, and nothing else does."""
    budget = RetryBudget()
    running: list[RetryToken] = []
    requests = taken = answers = unused = 0
    for step, number in steps:
        if step == "request":
            requests += 1
            budget.note_request(SHARE)
        elif step == "take":
            if (token := budget.try_take()) is not None:
                taken += 1
                running.append(token)
        elif running:
            token = running.pop(number % len(running))
            answers += step == "answered"
            unused += step == "unused"
            getattr(token, step)()
        assert budget._running == len(running)
        assert taken - unused - 2 * answers <= RESERVE + SHARE * requests + 1e-6


@given(concurrency=st.integers(20, 200), takes_s=st.sampled_from([0.1, 1.0, 5.0]))
@settings(max_examples=5, deadline=None)
def test_an_outage_makes_nobody_wait_long_for_leave_to_try_again(concurrency: int, takes_s: float) -> None:
    """Beyond what the first retries take to fail, each request takes no longer than its own attempts."""

    async def run() -> None:
        line = line_of_size(2, ", retry: {attempts: 2}")
        line.play(**dict.fromkeys(HOSTS, delayed(OUTAGES["500"], takes_s)))
        loop = asyncio.get_running_loop()
        await crowd(line, 2 * concurrency, concurrency)
        since = loop.time()
        await crowd(line, concurrency, concurrency)
        assert loop.time() - since <= 2 * takes_s + 0.1

    in_time(run())

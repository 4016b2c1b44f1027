"""Hedging through dispatch: when a second endpoint is asked, who wins, and what is left of the other."""

import asyncio

import pytest

from gateway.core.errors import Rejected, Unavailable, UpstreamTimeout
from gateway.pools.averages import REFRESH_EVERY
from gateway.resilience.breaker import BreakerState
from tests.support.dispatching import (
    called_hosts,
    delayed,
    dispatch_and_read,
    leaks,
    lost_picodollars,
    outcomes,
    pool,
    record_calls,
    replay_worker,
)
from tests.support.loops import in_virtual_time
from tests.support.replay import NO_RESPONSE, ReplayWorker, ScriptedResponse, completion, full_response, stream

A, B = (
    full_response(completion("from a")),
    full_response(completion("from b", {"prompt_tokens": 5, "completion_tokens": 7})),
)
DOWN = full_response(b"{}", 500)
POOL = "main: {members: [m-a, m-b, m-c], hedge: {after: 1s, quantile: 90%%, share: 100%%}%s}"


def hedging(more: str = "", settings: str = "") -> ReplayWorker:
    line = replay_worker(POOL % settings, more=more)
    line.play(a=A, b=B, c=B)
    return line


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
@in_virtual_time
async def test_a_second_one_is_asked_after_a_silence_and_its_answer_taken(is_stream: bool) -> None:
    line = hedging()
    line.play(a=delayed(stream() if is_stream else A, 10.0), b=delayed(stream() if is_stream else B, 0.5))
    asked = record_calls(line)
    x = line.exchange("auto", stream=is_stream)
    answer = await dispatch_and_read(line, x)
    assert asked.times == [("a", 0.0), ("b", pytest.approx(1.0))]
    assert b"two " in answer or b"from b" in answer
    assert outcomes(x) == ["abandoned", "ok"]
    assert (x.model, x.provider, x.pool) == ("m-b", "b", "main")
    assert x.timeline.waited_s >= 1.5
    assert not leaks(line)


@in_virtual_time
async def test_the_first_one_may_still_be_faster() -> None:
    line = hedging()
    line.play(a=delayed(A, 1.5), b=delayed(B, 10.0))
    x = line.exchange("auto")
    assert b"from a" in await dispatch_and_read(line, x)
    assert outcomes(x) == ["ok", "abandoned"]
    assert (x.model, x.provider) == ("m-a", "a")
    assert x.usage is None  # what b counted is not ours
    assert not leaks(line)


@in_virtual_time
async def test_of_two_answers_at_once_the_first_is_taken_and_named() -> None:
    line = hedging()
    line.play(a=delayed(A, 2.0), b=delayed(B, 1.0))
    x = line.exchange("auto")
    answer = await dispatch_and_read(line, x)
    taken = "m-a" if b"from a" in answer else "m-b"
    assert x.model == taken
    assert (x.usage is None) is (taken == "m-a")
    assert sorted(outcomes(x)) == ["abandoned", "ok"]
    assert not leaks(line)


@in_virtual_time
async def test_nobody_else_is_asked_who_answers_in_time() -> None:
    line = hedging()
    line.play(a=delayed(A, 0.9))
    x = line.exchange("auto")
    await dispatch_and_read(line, x)
    assert called_hosts(line) == "a"
    assert lost_picodollars(x) == 0
    assert line.services.metrics.hedges["main"].value == 0


@in_virtual_time
async def test_how_long_is_long_is_learned_from_the_endpoint() -> None:
    line = hedging()
    line.play(a=delayed(A, 0.1))
    for _ in range(REFRESH_EVERY):
        await dispatch_and_read(line, line.exchange("auto"))
    line.play(a=delayed(A, 5.0), b=B)
    line.transport.calls.clear()
    asked = record_calls(line)
    await dispatch_and_read(line, line.exchange("auto"))
    assert asked.gaps_s == [pytest.approx(0.1)]


@in_virtual_time
async def test_the_loser_is_cut_off_unblamed_and_its_prompt_paid_for() -> None:
    line = hedging(more="defaults: {breaker: {failures: 1}}")
    line.play(a=ScriptedResponse((b'{"id"',), headers={b"content-type": b"application/json"}, is_open=True), b=B)
    x = line.exchange("auto")
    await dispatch_and_read(line, x)
    assert line.transport.wires[0].is_aborted
    assert line.endpoints["a/m-a"].breaker.state is BreakerState.CLOSED
    assert line.endpoints["a/m-a"].failures.weight == 0.0
    assert x.request is not None
    assert lost_picodollars(x) == 1_000_000 * x.request.tokens
    assert line.services.metrics.hedges["main"].value == 1
    assert not leaks(line)


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
@in_virtual_time
async def test_a_loser_that_failed_costs_nothing(is_stream: bool) -> None:
    line = hedging()
    line.play(a=delayed(DOWN, 1.2), b=delayed(stream() if is_stream else B, 0.5))
    x = line.exchange("auto", stream=is_stream)
    await dispatch_and_read(line, x)
    assert outcomes(x) == ["failed", "ok"]
    assert lost_picodollars(x) == 0
    assert not leaks(line)


@in_virtual_time
async def test_where_the_second_fails_the_first_is_waited_for() -> None:
    line = hedging()
    line.play(a=delayed(A, 3.0), b=DOWN)
    x = line.exchange("auto")
    assert b"from a" in await dispatch_and_read(line, x)
    assert outcomes(x) == ["ok", "failed"]
    assert not leaks(line)


@in_virtual_time
async def test_where_the_first_fails_early_the_next_attempt_is_a_retry_and_no_hedge() -> None:
    line = hedging()
    line.play(a=delayed(DOWN, 0.5), b=delayed(B, 5.0))
    x = line.exchange("auto")
    await dispatch_and_read(line, x)
    assert called_hosts(line) == "ab"
    assert line.services.metrics.hedges["main"].value == 0
    assert line.services.metrics.retries["main", "made"].value == 1


@in_virtual_time
async def test_where_both_fail_the_pool_is_asked_on() -> None:
    line = hedging()
    line.play(a=delayed(DOWN, 1.2), b=delayed(DOWN, 0.5), c=A)
    x = line.exchange("auto")
    assert b"from a" in await dispatch_and_read(line, x)
    assert called_hosts(line) == "abc"
    assert not leaks(line)


@in_virtual_time
async def test_where_all_fail_the_error_of_the_last_is_told() -> None:
    line = hedging(settings=", retry: {attempts: 2}")
    line.play(a=delayed(full_response(b"{}", 503), 1.2), b=delayed(DOWN, 5.0))
    with pytest.raises(Unavailable) as raised:
        await dispatch_and_read(line, line.exchange("auto"))
    assert raised.value.http_status == 500
    assert called_hosts(line) == "ab"
    assert not leaks(line)


@in_virtual_time
async def test_a_rejection_is_told_where_the_other_has_no_answer_either() -> None:
    line = hedging()
    line.play(a=delayed(full_response(b"{}", 404), 1.2), b=delayed(DOWN, 0.5))
    with pytest.raises(Rejected):
        await dispatch_and_read(line, line.exchange("auto"))
    assert called_hosts(line) == "ab"
    assert not leaks(line)


@in_virtual_time
async def test_at_most_the_share_is_hedged() -> None:
    line = replay_worker("main: {members: [m-a, m-b], hedge: {after: 1s, share: 5%, quantile: 10%}}")
    line.play(a=delayed(A, 1.5), b=delayed(B, 1.5))
    for _ in range(400):
        await dispatch_and_read(line, line.exchange("auto"))
    assert line.services.metrics.hedges["main"].value == pytest.approx(20, abs=1)
    assert line.services.metrics.hedges["main"].value <= 20


@in_virtual_time
async def test_nothing_is_hedged_after_a_sign_of_life() -> None:
    line = hedging()
    line.play(a=delayed(A, 3.0))
    x = line.exchange("auto")
    x.timeline.committed_at = 1.0
    await dispatch_and_read(line, x)
    assert called_hosts(line) == "a"


@in_virtual_time
async def test_nothing_is_hedged_where_nobody_else_can_be_asked() -> None:
    line = hedging()
    line.services.rotation.set_drained(["b", "c"])
    line.play(a=delayed(A, 3.0))
    await dispatch_and_read(line, line.exchange("auto"))
    assert called_hosts(line) == "a"
    assert pool(line).hedges._balance == 1.0  # what it did not use it keeps


@in_virtual_time
async def test_a_hedge_goes_to_somebody_with_room() -> None:
    line = replay_worker("main: {members: [m-a, {model: m-b, max_inflight: 1}], hedge: {after: 1s, share: 100%}}")
    line.play(a=delayed(A, 5.0), b=delayed(B, 10.0))
    await asyncio.gather(*(dispatch_and_read(line, line.exchange("auto")) for _ in range(5)))
    assert called_hosts(line).count("b") == 1
    assert not leaks(line)


@in_virtual_time
async def test_a_pool_of_one_is_not_hedged() -> None:
    line = replay_worker("main: {members: [m-a], hedge: {after: 1s, share: 100%}}")
    line.play(a=delayed(A, 5.0))
    await dispatch_and_read(line, line.exchange("auto"))
    assert called_hosts(line) == "a"


@in_virtual_time
async def test_the_total_clock_ends_both() -> None:
    line = hedging(settings=", timeout: {total: 5s}")
    line.play(a=NO_RESPONSE, b=NO_RESPONSE)
    with pytest.raises(UpstreamTimeout) as raised:
        await dispatch_and_read(line, line.exchange("auto"))
    assert raised.value.error_code == "total_timeout"
    assert called_hosts(line) == "ab"
    assert not leaks(line)


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("calls", [0, 1, 2])
@pytest.mark.parametrize("turns", range(10))
@in_virtual_time
async def test_a_client_that_leaves_at_any_turn_leaves_nothing_behind(turns: int, calls: int, is_stream: bool) -> None:
    """So many turns of the loop after it came, after the first was asked, or after the second was."""
    line = replay_worker(POOL % ", max_inflight: 1", more="defaults: {breaker: {failures: 1, recovery: 1s}}")
    line.play(a=delayed(stream() if is_stream else A, 1.0), b=stream() if is_stream else B)
    for endpoint in line.endpoints.values():  # half-open: each attempt is a probe
        permit = endpoint.breaker.try_acquire()
        assert permit is not None
        permit.fail()
    await asyncio.sleep(1)
    x = line.exchange("auto", stream=is_stream)
    task = asyncio.ensure_future(dispatch_and_read(line, x))
    while len(line.transport.calls) < calls:  # noqa: ASYNC110
        await asyncio.sleep(0.0005)
    for _ in range(turns):
        await asyncio.sleep(0)
    was_done = task.done()
    task.cancel()
    if was_done:
        await task
    else:
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not leaks(line)
    assert "running" not in outcomes(x)
    assert all(endpoint.breaker.is_available for endpoint in line.endpoints.values())

"""Further attempts within a pool: who is asked, after which pause, and what forbids it."""

import asyncio

import pytest

from gateway.core.errors import (
    DeadlineExceeded,
    GatewayError,
    Rejected,
    Unavailable,
    UpstreamError,
    UpstreamTimeout,
)
from gateway.core.exchange import Exchange
from gateway.core.faults import Fault
from gateway.resilience.retry import RESERVE
from tests.support.dispatching import (
    called_hosts,
    delayed,
    dispatch_and_read,
    leaks,
    outcomes,
    pool,
    record_calls,
    replay_worker,
)
from tests.support.loops import in_virtual_time
from tests.support.replay import NO_RESPONSE, ReplayWorker, ScriptedResponse, completion, full_response, stream

GOOD = full_response(completion())
REFUSED = ScriptedResponse(
    error=Unavailable("no connection to the provider (refused)", code="upstream_connect", fault=Fault.CONNECT)
)
DOWN = full_response(b"{}", 503)
BREAKER_OFF = "defaults: {breaker: none}"


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
@in_virtual_time
async def test_an_endpoint_that_fails_twice_is_asked_a_third_time(is_stream: bool) -> None:
    line = replay_worker("main: {members: [m-a]}")
    line.play(a=[DOWN, DOWN, stream() if is_stream else GOOD])
    exchange = line.exchange("auto", stream=is_stream)
    assert b"hello" in await dispatch_and_read(line, exchange) or is_stream
    assert outcomes(exchange) == ["failed", "failed", "ok"]
    assert not leaks(line)


@in_virtual_time
async def test_pauses_before_the_same_endpoint_are_drawn_from_a_range_that_doubles_up_to_the_cap() -> None:
    line = replay_worker("main: {members: [m-a], retry: {attempts: 6, backoff: 1s, backoff_cap: 3s}}", more=BREAKER_OFF)
    line.play(a=DOWN)
    gaps: list[list[float]] = [[], [], [], [], []]
    for _ in range(200):
        pool(line).budget._balance = RESERVE
        asked = record_calls(line)
        with pytest.raises(Unavailable):
            await dispatch_and_read(line, line.exchange("auto"))
        for drawn, gap in zip(gaps, asked.gaps_s, strict=True):
            drawn.append(gap)
    for drawn, longest in zip(gaps, (1.0, 2.0, 3.0, 3.0, 3.0), strict=True):
        assert 0.9 * longest < max(drawn) <= longest + 0.001
        assert min(drawn) < 0.1 * longest
        assert sum(drawn) / len(drawn) == pytest.approx(longest / 2, rel=0.15)


@in_virtual_time
async def test_pool_mates_are_asked_at_once_and_before_the_same_endpoint() -> None:
    line = replay_worker("main: {members: [m-a, m-b, m-c], retry: {attempts: 4}}")
    line.play(a=[DOWN, GOOD], b=[DOWN, GOOD], c=[DOWN, GOOD])
    asked = record_calls(line)
    await dispatch_and_read(line, line.exchange("auto"))
    assert called_hosts(line)[:3] == "abc"
    assert asked.gaps_s[:2] == [0.0, 0.0]
    assert asked.gaps_s[2] > 0.0


@in_virtual_time
async def test_members_of_a_higher_number_are_asked_before_one_that_failed() -> None:
    line = replay_worker("main: {members: [m-a, {model: m-b, priority: 2}]}")
    line.play(a=DOWN, b=GOOD)
    await dispatch_and_read(line, line.exchange("auto"))
    assert called_hosts(line) == "ab"


@pytest.mark.parametrize("attempts", [1, 2, 3, 5])
@in_virtual_time
async def test_attempts_count_all_tries_of_a_pool(attempts: int) -> None:
    line = replay_worker(f"main: {{members: [m-a, m-b], retry: {{attempts: {attempts}}}}}")
    line.play(a=DOWN, b=DOWN)
    exchange = line.exchange("auto")
    with pytest.raises(Unavailable):
        await dispatch_and_read(line, exchange)
    assert len(exchange.attempts) == attempts
    assert line.services.metrics.retries["main", "made"].value == attempts - 1


@in_virtual_time
async def test_none_means_one_attempt_in_each_pool() -> None:
    line = replay_worker("main: {members: [m-a, m-b], retry: none, then: spare}\nspare: {members: [m-c], retry: none}")
    line.play(a=DOWN, b=GOOD, c=DOWN)
    with pytest.raises(Unavailable):
        await dispatch_and_read(line, line.exchange("auto"))
    assert called_hosts(line) == "ac"


WORDS = {
    "connect": REFUSED,
    "first_token": NO_RESPONSE,
    "rate_limited": full_response(b"{}", 429),
    "server_error": full_response(b"{}", 500),
    "content_policy": full_response(b'{"error": {"code": "content_policy_violation", "message": "no"}}', 400),
}


@pytest.mark.parametrize("fault", WORDS)
@pytest.mark.parametrize("word", WORDS)
@in_virtual_time
async def test_a_fault_leads_to_another_attempt_where_its_word_is_named(word: str, fault: str) -> None:
    line = replay_worker(f"main: {{members: [m-a, m-b], retry: {{when: [{word}]}}}}")
    line.play(a=WORDS[fault], b=GOOD)
    exchange = line.exchange("auto")
    if word == fault:
        await dispatch_and_read(line, exchange)
        assert called_hosts(line) == "ab"
    else:
        with pytest.raises(UpstreamError):
            await dispatch_and_read(line, exchange)
        assert called_hosts(line) == "a"
    assert not leaks(line)


@pytest.mark.parametrize("fault", [full_response(b"{}", 401), full_response(b"{}", 403)], ids=["401", "403"])
@in_virtual_time
async def test_a_refused_key_needs_no_word(fault: ScriptedResponse) -> None:
    line = replay_worker("main: {members: [m-a, m-b], retry: {when: [connect]}}")
    line.play(a=fault, b=GOOD)
    await dispatch_and_read(line, line.exchange("auto"))
    assert called_hosts(line) == "ab"


@in_virtual_time
async def test_the_pool_behind_needs_neither_word_nor_budget() -> None:
    line = replay_worker(
        "main: {members: [m-a], retry: {when: [connect], budget: 0%}, then: spare}\nspare: {members: [m-b]}"
    )
    line.play(a=DOWN, b=GOOD)
    for state in (pool(line), pool(line, "spare")):
        state.budget._balance = 0.0
    for _ in range(50):
        await dispatch_and_read(line, line.exchange("auto"))
    assert called_hosts(line).replace("ab", "", 5).strip("b") == ""  # until the breaker of a opened


@in_virtual_time
async def test_a_budget_that_is_used_up_forbids_another_attempt_and_says_so_in_the_metrics() -> None:
    line = replay_worker("main: {members: [m-a], retry: {attempts: 2, budget: 20%}}", more=BREAKER_OFF)
    line.play(a=DOWN)
    for _ in range(100):
        with pytest.raises(Unavailable):
            await dispatch_and_read(line, line.exchange("auto"))
    assert len(line.transport.calls) == 100 + 10 + 19
    retries = line.services.metrics.retries
    assert (retries["main", "made"].value, retries["main", "refused"].value) == (29, 71)


@in_virtual_time
async def test_a_request_counts_once_for_its_pools_budget_however_often_it_comes_back() -> None:
    """A told wait brings it back to the pool."""
    line = replay_worker("main: {members: [m-a], retry: {attempts: 3, budget: 20%}}")
    line.play(a=full_response(b"{}", 429, retry_after="1"))
    for _ in range(100):
        with pytest.raises(UpstreamError):
            await dispatch_and_read(line, line.exchange("auto"))
    assert len(line.transport.calls) <= 1.2 * 100 + 10


@in_virtual_time
async def test_the_settings_of_the_target_that_failed_decide() -> None:
    """Whoever comes first in the pool."""
    text = "main: {members: [m-a, m-b], balance: round_robin}"
    line = replay_worker(text)
    line.activate(
        "version: 1\nproviders:\n"
        '  a: {kind: openai, url: "http://a.test/v1"}\n'
        '  b: {kind: openai, url: "http://b.test/v1", retry: none}\n'
        "models:\n"
        "  m-a: {provider: a, price: {input: 1, output: 2}, quality: 0.5}\n"
        "  m-b: {provider: b, price: {input: 1, output: 2}, quality: 0.5}\n"
        f"pools:\n  {text}\n"
        "routes: [{name: all, match: [auto], to: main}]\n"
    )
    line.play(a=DOWN, b=DOWN)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await dispatch_and_read(line, line.exchange("auto"))
    assert called_hosts(line) == "abb"  # a, then its mate, which ends it; then b, whose provider wants no retries


@in_virtual_time
async def test_a_pools_retries_are_merged_over_the_levels() -> None:
    line = replay_worker(
        "main: {members: [m-a], retry: {attempts: 4}}",
        more="defaults: {retry: {attempts: 2, when: [connect]}, breaker: none}",
        models=", retry: {when: [server_error]}",
    )
    line.play(a=DOWN)
    with pytest.raises(Unavailable):
        await dispatch_and_read(line, line.exchange("auto"))
    assert called_hosts(line) == "aaaa"
    line.play(a=REFUSED)
    with pytest.raises(Unavailable):
        await dispatch_and_read(line, line.exchange("auto"))
    assert called_hosts(line) == "aaaaa"


@pytest.mark.parametrize("status", [400, 404, 405, 410, 413, 422])
@in_virtual_time
async def test_other_4xx_lead_nowhere(status: int) -> None:
    body = b'{"error": {"message": "no", "code": "x"}}'
    line = replay_worker("main: {members: [m-a, m-b], then: spare}\nspare: {members: [m-c]}")
    line.play(a=full_response(body, status), b=GOOD, c=GOOD)
    for _ in range(10):
        with pytest.raises(Rejected) as raised:
            await dispatch_and_read(line, line.exchange("auto"))
        assert (raised.value.http_status, raised.value.body) == (status, body)
    assert called_hosts(line) == "a" * 10


@in_virtual_time
async def test_the_total_clock_ends_a_request_before_a_pause_that_would_outlast_it() -> None:
    text = "main: {members: [m-a], retry: {attempts: 1000, backoff: 1s, backoff_cap: 1s}, timeout: {total: 5s}}"
    line = replay_worker(text, more=BREAKER_OFF)
    line.play(a=DOWN)
    pool(line).budget._balance = 1000.0
    asked = record_calls(line)
    with pytest.raises(GatewayError):
        await dispatch_and_read(line, line.exchange("auto"))
    assert asked.times[-1][1] < 5.0
    assert not leaks(line)


@in_virtual_time
async def test_the_total_clock_cuts_the_last_of_many_attempts() -> None:
    line = replay_worker("main: {members: [m-a, m-b, m-c], timeout: {total: 5s, answer: 2s}}")
    line.play(a=NO_RESPONSE, b=NO_RESPONSE, c=NO_RESPONSE)
    asked = record_calls(line)
    with pytest.raises((UpstreamTimeout, DeadlineExceeded)) as raised:
        await dispatch_and_read(line, line.exchange("auto"))
    assert (raised.value.http_status, raised.value.error_code) == (504, "total_timeout")
    assert [host for host, _ in asked.times] == ["a", "b", "c"]


@in_virtual_time
async def test_who_has_waited_for_an_endpoint_once_does_not_wait_for_it_again() -> None:
    line = replay_worker("main: {members: [m-a, m-b], timeout: {answer: 2s}}")
    line.play(a=NO_RESPONSE, b=NO_RESPONSE)
    asked = record_calls(line)
    with pytest.raises(UpstreamTimeout):
        await dispatch_and_read(line, line.exchange("auto"))
    assert [host for host, _ in asked.times] == ["a", "b"]
    assert not leaks(line)


@in_virtual_time
async def test_a_5xx_with_a_retry_after_is_asked_again_when_told() -> None:
    line = replay_worker("main: {members: [m-a]}")
    line.play(a=[full_response(b"{}", 503, retry_after="7"), GOOD])
    asked = record_calls(line)
    await dispatch_and_read(line, line.exchange("auto"))
    assert asked.gaps_s == [pytest.approx(7.0)]


@in_virtual_time
async def test_each_endpoint_is_asked_again_after_its_own_wait() -> None:
    """The one that said nothing first; the one that did not before it is time; and never the one that wants too much."""
    line = replay_worker(
        "main: {members: [m-a, m-b, m-c], retry: {attempts: 6, retry_after_cap: 10s, backoff: 1s, backoff_cap: 1s}}",
        more=BREAKER_OFF,
    )
    line.play(a=full_response(b"{}", 503, retry_after="3"), b=DOWN, c=full_response(b"{}", 503, retry_after="60"))
    asked = record_calls(line)
    with pytest.raises(Unavailable):
        await dispatch_and_read(line, line.exchange("auto"))
    assert [host for host, _ in asked.times[:3]] == ["a", "b", "c"]
    again = [(host, at) for host, at in asked.times[3:]]
    assert {host for host, _ in again} <= {"a", "b"}
    assert again[0][0] == "b"
    assert all(at >= 3.0 for host, at in again if host == "a")


@in_virtual_time
async def test_an_endpoint_that_failed_is_given_its_pause_though_another_is_rate_limited() -> None:
    line = replay_worker("main: {members: [m-a, m-b], retry: {backoff: 1s, backoff_cap: 1s}}")
    line.services.rng.seed(7)
    line.play(a=[DOWN, GOOD], b=full_response(b"{}", 429, retry_after="60"))
    asked = record_calls(line)
    await dispatch_and_read(line, line.exchange("auto"))
    assert [host for host, _ in asked.times] == ["a", "b", "a"]
    assert 0.0 < asked.times[-1][1] <= 1.0


@in_virtual_time
async def test_what_a_fault_tells_is_noted_though_the_client_has_had_a_sign_of_life() -> None:
    line = replay_worker("main: {members: [m-a, m-b]}")
    line.play(a=full_response(b"{}", 429, retry_after="5"))
    exchange = line.exchange("auto")
    exchange.timeline.committed_at = 1.0
    with pytest.raises(UpstreamError):
        await dispatch_and_read(line, exchange)
    assert line.endpoints["a/m-a"].resting_until > 0.0


@pytest.mark.parametrize("has_next", [False, True], ids=["nobody behind", "a pool behind"])
@in_virtual_time
async def test_a_token_that_others_may_free_is_waited_for_longest_where_nobody_stands_behind(has_next: bool) -> None:
    then = ", then: spare" if has_next else ""
    line = replay_worker(f"main: {{members: [m-a, m-b]{then}}}\nspare: {{members: [m-c]}}", more=BREAKER_OFF)
    line.play(a=DOWN, b=delayed(GOOD, 5.0), c=GOOD)
    since = asyncio.get_running_loop().time()
    exchanges = [line.exchange("auto") for _ in range(20)]
    ends = await asyncio.gather(*(end_of(line, exchange) for exchange in exchanges))
    took_s = sorted(round(end - since) for end in ends)
    assert took_s == ([2] * 10 + [5] * 10 if has_next else [5] * 10 + [10] * 10)
    assert [exchange.pool for exchange in exchanges].count("spare") == (10 if has_next else 0)
    assert not leaks(line)


async def end_of(line: ReplayWorker, exchange: Exchange) -> float:
    await dispatch_and_read(line, exchange)
    return asyncio.get_running_loop().time()


PLACES = {
    "in the queue": ({"a": delayed(GOOD, 50.0)}, 1, 0.5),
    "asking": ({"a": NO_RESPONSE}, 0, 5.0),
    "backing off": ({"a": DOWN}, 0, 0.001),
    "waiting for a token": ({"a": delayed(DOWN, 1.0)}, 0, 1.5),
    "relaying": ({"a": stream(is_open=True)}, 0, 5.0),
}


@pytest.mark.parametrize("place", PLACES)
@in_virtual_time
async def test_wherever_its_client_leaves_a_request_leaves_nothing_behind_and_asks_nobody_more(place: str) -> None:
    plays, before, patience_s = PLACES[place]
    line = replay_worker("main: {members: [m-a], max_inflight: 1, retry: {backoff: 60s, backoff_cap: 60s}}")
    line.play(**plays)
    budget = pool(line).budget
    tokens = []
    if place == "waiting for a token":
        tokens = [token for _ in range(10) if (token := budget.try_take()) is not None]
    first = [asyncio.ensure_future(dispatch_and_read(line, line.exchange("auto"))) for _ in range(before)]
    await asyncio.sleep(0)
    exchange = line.exchange("auto", stream=place == "relaying")
    task = asyncio.ensure_future(dispatch_and_read(line, exchange))
    await asyncio.sleep(patience_s)
    calls = len(line.transport.calls)
    for one in (task, *first):
        one.cancel()
    for one in (task, *first):
        with pytest.raises(asyncio.CancelledError):
            await one
    for token in tokens:
        token.unused()
    await asyncio.sleep(100)
    assert len(line.transport.calls) == calls
    assert "running" not in outcomes(exchange)
    assert not leaks(line)
    assert budget._balance == pytest.approx(RESERVE, abs=0.2)  # and what the request added

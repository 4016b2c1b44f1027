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
from tests.support.dispatching import ask, hosts_of, late, left_over, line_of, outcomes, pool, watch_calls
from tests.support.loops import in_virtual_time
from tests.support.replay import SILENCE, Line, Play, completion, stream, whole

GOOD = whole(completion())
REFUSED = Play(
    error=Unavailable("no connection to the provider (refused)", code="upstream_connect", fault=Fault.CONNECT)
)
DOWN = whole(b"{}", 503)
BREAKER_OFF = "defaults: {breaker: none}"


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
@in_virtual_time
async def test_an_endpoint_that_fails_twice_is_asked_a_third_time(is_stream: bool) -> None:
    line = line_of("main: {members: [m-a]}")
    line.play(a=[DOWN, DOWN, stream() if is_stream else GOOD])
    exchange = line.exchange("auto", stream=is_stream)
    assert b"hello" in await ask(line, exchange) or is_stream
    assert outcomes(exchange) == ["failed", "failed", "ok"]
    assert not left_over(line)


@in_virtual_time
async def test_pauses_before_the_same_endpoint_are_drawn_from_a_range_that_doubles_up_to_the_cap() -> None:
    line = line_of("main: {members: [m-a], retry: {attempts: 6, backoff: 1s, backoff_cap: 3s}}", more=BREAKER_OFF)
    line.play(a=DOWN)
    gaps: list[list[float]] = [[], [], [], [], []]
    for _ in range(200):
        pool(line).budget._balance = RESERVE
        asked = watch_calls(line)
        with pytest.raises(Unavailable):
            await ask(line, line.exchange("auto"))
        for drawn, gap in zip(gaps, asked.gaps_s, strict=True):
            drawn.append(gap)
    for drawn, longest in zip(gaps, (1.0, 2.0, 3.0, 3.0, 3.0), strict=True):
        assert 0.9 * longest < max(drawn) <= longest + 0.001
        assert min(drawn) < 0.1 * longest
        assert sum(drawn) / len(drawn) == pytest.approx(longest / 2, rel=0.15)


@in_virtual_time
async def test_pool_mates_are_asked_at_once_and_before_the_same_endpoint() -> None:
    line = line_of("main: {members: [m-a, m-b, m-c], retry: {attempts: 4}}")
    line.play(a=[DOWN, GOOD], b=[DOWN, GOOD], c=[DOWN, GOOD])
    asked = watch_calls(line)
    await ask(line, line.exchange("auto"))
    assert hosts_of(line)[:3] == "abc"
    assert asked.gaps_s[:2] == [0.0, 0.0]
    assert asked.gaps_s[2] > 0.0


@in_virtual_time
async def test_members_of_a_higher_number_are_asked_before_one_that_failed() -> None:
    line = line_of("main: {members: [m-a, {model: m-b, priority: 2}]}")
    line.play(a=DOWN, b=GOOD)
    await ask(line, line.exchange("auto"))
    assert hosts_of(line) == "ab"


@pytest.mark.parametrize("attempts", [1, 2, 3, 5])
@in_virtual_time
async def test_attempts_count_all_tries_of_a_pool(attempts: int) -> None:
    line = line_of(f"main: {{members: [m-a, m-b], retry: {{attempts: {attempts}}}}}")
    line.play(a=DOWN, b=DOWN)
    exchange = line.exchange("auto")
    with pytest.raises(Unavailable):
        await ask(line, exchange)
    assert len(exchange.attempts) == attempts
    assert line.services.metrics.retries["main", "made"].value == attempts - 1


@in_virtual_time
async def test_none_means_one_attempt_in_each_pool() -> None:
    line = line_of("main: {members: [m-a, m-b], retry: none, then: spare}\nspare: {members: [m-c], retry: none}")
    line.play(a=DOWN, b=GOOD, c=DOWN)
    with pytest.raises(Unavailable):
        await ask(line, line.exchange("auto"))
    assert hosts_of(line) == "ac"


WORDS = {
    "connect": REFUSED,
    "first_token": SILENCE,
    "rate_limited": whole(b"{}", 429),
    "server_error": whole(b"{}", 500),
    "content_policy": whole(b'{"error": {"code": "content_policy_violation", "message": "no"}}', 400),
}


@pytest.mark.parametrize("fault", WORDS)
@pytest.mark.parametrize("word", WORDS)
@in_virtual_time
async def test_a_fault_leads_to_another_attempt_where_its_word_is_named(word: str, fault: str) -> None:
    line = line_of(f"main: {{members: [m-a, m-b], retry: {{when: [{word}]}}}}")
    line.play(a=WORDS[fault], b=GOOD)
    exchange = line.exchange("auto")
    if word == fault:
        await ask(line, exchange)
        assert hosts_of(line) == "ab"
    else:
        with pytest.raises(UpstreamError):
            await ask(line, exchange)
        assert hosts_of(line) == "a"
    assert not left_over(line)


@pytest.mark.parametrize("fault", [whole(b"{}", 401), whole(b"{}", 403)], ids=["401", "403"])
@in_virtual_time
async def test_a_refused_key_needs_no_word(fault: Play) -> None:
    line = line_of("main: {members: [m-a, m-b], retry: {when: [connect]}}")
    line.play(a=fault, b=GOOD)
    await ask(line, line.exchange("auto"))
    assert hosts_of(line) == "ab"


@in_virtual_time
async def test_the_pool_behind_needs_neither_word_nor_budget() -> None:
    line = line_of("main: {members: [m-a], retry: {when: [connect], budget: 0%}, then: spare}\nspare: {members: [m-b]}")
    line.play(a=DOWN, b=GOOD)
    for state in (pool(line), pool(line, "spare")):
        state.budget._balance = 0.0
    for _ in range(50):
        await ask(line, line.exchange("auto"))
    assert hosts_of(line).replace("ab", "", 5).strip("b") == ""  # until the breaker of a opened


@in_virtual_time
async def test_a_budget_that_is_used_up_forbids_another_attempt_and_says_so_in_the_metrics() -> None:
    line = line_of("main: {members: [m-a], retry: {attempts: 2, budget: 20%}}", more=BREAKER_OFF)
    line.play(a=DOWN)
    for _ in range(100):
        with pytest.raises(Unavailable):
            await ask(line, line.exchange("auto"))
    assert len(line.transport.calls) == 100 + 10 + 19
    retries = line.services.metrics.retries
    assert (retries["main", "made"].value, retries["main", "refused"].value) == (29, 71)


@in_virtual_time
async def test_a_request_counts_once_for_its_pools_budget_however_often_it_comes_back() -> None:
    """A told wait brings it back to the pool."""
    line = line_of("main: {members: [m-a], retry: {attempts: 3, budget: 20%}}")
    line.play(a=whole(b"{}", 429, retry_after="1"))
    for _ in range(100):
        with pytest.raises(UpstreamError):
            await ask(line, line.exchange("auto"))
    assert len(line.transport.calls) <= 1.2 * 100 + 10


@in_virtual_time
async def test_the_settings_of_the_target_that_failed_decide() -> None:
    """Whoever comes first in the pool."""
    text = "main: {members: [m-a, m-b], balance: round_robin}"
    line = line_of(text)
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
            await ask(line, line.exchange("auto"))
    assert hosts_of(line) == "abb"  # a, then its mate, which ends it; then b, whose provider wants no retries


@in_virtual_time
async def test_a_pools_retries_are_merged_over_the_levels() -> None:
    line = line_of(
        "main: {members: [m-a], retry: {attempts: 4}}",
        more="defaults: {retry: {attempts: 2, when: [connect]}, breaker: none}",
        models=", retry: {when: [server_error]}",
    )
    line.play(a=DOWN)
    with pytest.raises(Unavailable):
        await ask(line, line.exchange("auto"))
    assert hosts_of(line) == "aaaa"
    line.play(a=REFUSED)
    with pytest.raises(Unavailable):
        await ask(line, line.exchange("auto"))
    assert hosts_of(line) == "aaaaa"


@pytest.mark.parametrize("status", [400, 402, 404, 409, 413, 422])
@in_virtual_time
async def test_other_4xx_lead_nowhere(status: int) -> None:
    body = b'{"error": {"message": "no", "code": "x"}}'
    line = line_of("main: {members: [m-a, m-b], then: spare}\nspare: {members: [m-c]}")
    line.play(a=whole(body, status), b=GOOD, c=GOOD)
    for _ in range(10):
        with pytest.raises(Rejected) as raised:
            await ask(line, line.exchange("auto"))
        assert (raised.value.http_status, raised.value.body) == (status, body)
    assert hosts_of(line) == "a" * 10


@in_virtual_time
async def test_the_total_clock_ends_a_request_before_a_pause_that_would_outlast_it() -> None:
    text = "main: {members: [m-a], retry: {attempts: 1000, backoff: 1s, backoff_cap: 1s}, timeout: {total: 5s}}"
    line = line_of(text, more=BREAKER_OFF)
    line.play(a=DOWN)
    pool(line).budget._balance = 1000.0
    asked = watch_calls(line)
    with pytest.raises(GatewayError):
        await ask(line, line.exchange("auto"))
    assert asked.times[-1][1] < 5.0
    assert not left_over(line)


@in_virtual_time
async def test_the_total_clock_cuts_the_last_of_many_attempts() -> None:
    line = line_of("main: {members: [m-a, m-b, m-c], timeout: {total: 5s, answer: 2s}}")
    line.play(a=SILENCE, b=SILENCE, c=SILENCE)
    asked = watch_calls(line)
    with pytest.raises((UpstreamTimeout, DeadlineExceeded)) as raised:
        await ask(line, line.exchange("auto"))
    assert (raised.value.http_status, raised.value.error_code) == (504, "total_timeout")
    assert [host for host, _ in asked.times] == ["a", "b", "c"]


@in_virtual_time
async def test_who_has_waited_for_an_endpoint_once_does_not_wait_for_it_again() -> None:
    line = line_of("main: {members: [m-a, m-b], timeout: {answer: 2s}}")
    line.play(a=SILENCE, b=SILENCE)
    asked = watch_calls(line)
    with pytest.raises(UpstreamTimeout):
        await ask(line, line.exchange("auto"))
    assert [host for host, _ in asked.times] == ["a", "b"]
    assert not left_over(line)


@in_virtual_time
async def test_a_5xx_with_a_retry_after_is_asked_again_when_told() -> None:
    line = line_of("main: {members: [m-a]}")
    line.play(a=[whole(b"{}", 503, retry_after="7"), GOOD])
    asked = watch_calls(line)
    await ask(line, line.exchange("auto"))
    assert asked.gaps_s == [pytest.approx(7.0)]


@in_virtual_time
async def test_each_endpoint_is_asked_again_after_its_own_wait() -> None:
    """The one that said nothing first; the one that did not before it is time; and never the one that wants too much."""
    line = line_of(
        "main: {members: [m-a, m-b, m-c], retry: {attempts: 6, retry_after_cap: 10s, backoff: 1s, backoff_cap: 1s}}",
        more=BREAKER_OFF,
    )
    line.play(a=whole(b"{}", 503, retry_after="3"), b=DOWN, c=whole(b"{}", 503, retry_after="60"))
    asked = watch_calls(line)
    with pytest.raises(Unavailable):
        await ask(line, line.exchange("auto"))
    assert [host for host, _ in asked.times[:3]] == ["a", "b", "c"]
    again = [(host, at) for host, at in asked.times[3:]]
    assert {host for host, _ in again} <= {"a", "b"}
    assert again[0][0] == "b"
    assert all(at >= 3.0 for host, at in again if host == "a")


@in_virtual_time
async def test_an_endpoint_that_failed_is_given_its_pause_though_another_is_rate_limited() -> None:
    line = line_of("main: {members: [m-a, m-b], retry: {backoff: 1s, backoff_cap: 1s}}")
    line.services.rng.seed(7)
    line.play(a=[DOWN, GOOD], b=whole(b"{}", 429, retry_after="60"))
    asked = watch_calls(line)
    await ask(line, line.exchange("auto"))
    assert [host for host, _ in asked.times] == ["a", "b", "a"]
    assert 0.0 < asked.times[-1][1] <= 1.0


@in_virtual_time
async def test_what_a_fault_tells_is_noted_though_the_client_has_had_a_sign_of_life() -> None:
    line = line_of("main: {members: [m-a, m-b]}")
    line.play(a=whole(b"{}", 429, retry_after="5"))
    exchange = line.exchange("auto")
    exchange.timeline.committed_at = 1.0
    with pytest.raises(UpstreamError):
        await ask(line, exchange)
    assert line.endpoints["a/m-a"].resting_until > 0.0


@pytest.mark.parametrize("has_next", [False, True], ids=["nobody behind", "a pool behind"])
@in_virtual_time
async def test_a_token_that_others_may_free_is_waited_for_longest_where_nobody_stands_behind(has_next: bool) -> None:
    then = ", then: spare" if has_next else ""
    line = line_of(f"main: {{members: [m-a, m-b]{then}}}\nspare: {{members: [m-c]}}", more=BREAKER_OFF)
    line.play(a=DOWN, b=late(GOOD, 5.0), c=GOOD)
    since = asyncio.get_running_loop().time()
    exchanges = [line.exchange("auto") for _ in range(20)]
    ends = await asyncio.gather(*(end_of(line, exchange) for exchange in exchanges))
    took_s = sorted(round(end - since) for end in ends)
    assert took_s == ([2] * 10 + [5] * 10 if has_next else [5] * 10 + [10] * 10)
    assert [exchange.pool for exchange in exchanges].count("spare") == (10 if has_next else 0)
    assert not left_over(line)


async def end_of(line: Line, exchange: Exchange) -> float:
    await ask(line, exchange)
    return asyncio.get_running_loop().time()


PLACES = {
    "in the queue": ({"a": late(GOOD, 50.0)}, 1, 0.5),
    "asking": ({"a": SILENCE}, 0, 5.0),
    "backing off": ({"a": DOWN}, 0, 0.001),
    "waiting for a token": ({"a": late(DOWN, 1.0)}, 0, 1.5),
    "relaying": ({"a": stream(is_open=True)}, 0, 5.0),
}


@pytest.mark.parametrize("place", PLACES)
@in_virtual_time
async def test_wherever_its_client_leaves_a_request_leaves_nothing_behind_and_asks_nobody_more(place: str) -> None:
    plays, before, patience_s = PLACES[place]
    line = line_of("main: {members: [m-a], max_inflight: 1, retry: {backoff: 60s, backoff_cap: 60s}}")
    line.play(**plays)
    budget = pool(line).budget
    tokens = []
    if place == "waiting for a token":
        tokens = [token for _ in range(10) if (token := budget.try_take()) is not None]
    first = [asyncio.ensure_future(ask(line, line.exchange("auto"))) for _ in range(before)]
    await asyncio.sleep(0)
    exchange = line.exchange("auto", stream=place == "relaying")
    task = asyncio.ensure_future(ask(line, exchange))
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
    assert not left_over(line)
    assert budget._balance == pytest.approx(RESERVE, abs=0.2)  # and what the request added

"""Rate limits and keys: who is waited for and how long, who rests, and what the client is told."""

import asyncio

import pytest

from gateway.core.errors import CredentialRefused, Rejected, Unavailable, UpstreamError, UpstreamRateLimited
from gateway.pools.directory import KEY_REST_S
from tests.support.dispatching import (
    LoopClock,
    called_hosts,
    config,
    dispatch_and_read,
    leaks,
    outcomes,
    pool,
    record_calls,
    replay_worker,
)
from tests.support.loops import in_virtual_time
from tests.support.replay import ReplayWorker, ScriptedResponse, completion, full_response, stream

GOOD = full_response(completion())
DOWN = full_response(b"{}", 500)


def limited(wait: str = "") -> ScriptedResponse:
    return full_response(b"{}", 429, **({"retry_after": wait} if wait else {}))


# Rate limits


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
@in_virtual_time
async def test_a_wait_within_the_cap_is_waited_where_there_is_nobody_else(is_stream: bool) -> None:
    line = replay_worker("main: {members: [m-a]}")
    line.play(a=[limited("20"), stream() if is_stream else GOOD])
    asked = record_calls(line)
    x = line.exchange("auto", stream=is_stream)
    await dispatch_and_read(line, x)
    assert 20.0 <= asked.gaps_s[0] <= 22.0
    assert outcomes(x) == ["failed", "ok"]
    assert x.timeline.waited_s >= 20.0
    assert not leaks(line)


@in_virtual_time
async def test_others_are_asked_before_anybody_is_waited_for() -> None:
    line = replay_worker("main: {members: [m-a, m-b], then: spare}\nspare: {members: [m-c]}")
    line.play(a=limited("5"), b=limited("5"), c=GOOD)
    asked = record_calls(line)
    x = line.exchange("auto")
    await dispatch_and_read(line, x)
    assert asked.times == [("a", 0.0), ("b", 0.0), ("c", 0.0)]
    assert x.degraded == "main; reason=rate_limit_exceeded"


@in_virtual_time
async def test_whoever_told_the_shortest_wait_is_asked_again_first() -> None:
    line = replay_worker("main: {members: [m-a], then: spare}\nspare: {members: [m-b]}")
    line.play(a=limited("9"), b=[limited("3"), GOOD])
    x = line.exchange("auto")
    await dispatch_and_read(line, x)
    assert called_hosts(line) == "abb"
    assert x.pool == "spare"


@pytest.mark.parametrize("told", ["21", "60", "3600"])
@in_virtual_time
async def test_a_wait_beyond_the_cap_is_handed_on_as_it_was_told(told: str) -> None:
    line = replay_worker("main: {members: [m-a]}")
    line.play(a=limited(told))
    for _ in range(2):  # the second finds it resting
        with pytest.raises(UpstreamRateLimited) as raised:
            await dispatch_and_read(line, line.exchange("auto"))
        assert (raised.value.http_status, raised.value.retry_after_s) == (429, float(told))
    assert called_hosts(line) == "a"


@in_virtual_time
async def test_an_endpoint_that_wants_more_than_the_cap_rests_for_the_cap() -> None:
    line = replay_worker("main: {members: [m-a]}")
    line.play(a=[limited("60"), GOOD])
    with pytest.raises(UpstreamRateLimited):
        await dispatch_and_read(line, line.exchange("auto"))
    await asyncio.sleep(19.9)
    with pytest.raises(UpstreamRateLimited) as raised:
        await dispatch_and_read(line, line.exchange("auto"))
    assert raised.value.retry_after_s == pytest.approx(40.1)
    await asyncio.sleep(0.2)
    await dispatch_and_read(line, line.exchange("auto"))
    assert called_hosts(line) == "aa"


@in_virtual_time
async def test_without_a_told_wait_nothing_rests() -> None:
    line = replay_worker("main: {members: [m-a, m-b]}")
    line.play(a=limited(), b=GOOD)
    for _ in range(3):
        await dispatch_and_read(line, line.exchange("auto"))
    assert called_hosts(line) == "ababab"
    assert line.endpoints["a/m-a"].resting_until == 0.0


@in_virtual_time
async def test_a_rate_limit_of_one_of_a_family_is_kept_by_the_request_that_met_it_alone() -> None:
    text = config("main: {members: [m-a]}", more='  - {name: any, match: ["x-*"], to: requested}')
    text = text.replace("models:\n", 'models:\n  "x-*": {provider: b, price: {input: 1, output: 2}}\n')
    line = ReplayWorker(text, LoopClock())
    line.play(b=[limited("5"), GOOD])
    first = asyncio.ensure_future(dispatch_and_read(line, line.exchange("x-1")))
    await asyncio.sleep(1.0)
    asked = record_calls(line)
    await dispatch_and_read(line, line.exchange("x-2"))
    await first
    assert [at for _, at in asked.times] == [0.0, pytest.approx(4.0)]


@in_virtual_time
async def test_without_a_told_wait_the_same_endpoint_is_asked_after_a_pause() -> None:
    line = replay_worker("main: {members: [m-a]}")
    line.play(a=[limited(), limited(), GOOD])
    asked = record_calls(line)
    await dispatch_and_read(line, line.exchange("auto"))
    assert all(0.0 < gap <= longest for gap, longest in zip(asked.gaps_s, (0.1, 0.2), strict=True))


@in_virtual_time
async def test_a_fresh_request_passes_over_one_that_rests_and_waits_for_it_where_it_is_the_only_one() -> None:
    line = replay_worker(
        "main: {members: [m-a, m-b]}\nalone: {members: [m-a]}", more="  - {name: rest, match: [alone], to: alone}"
    )
    line.play(a=[limited("8"), GOOD], b=GOOD)
    await dispatch_and_read(line, line.exchange("auto"))
    await dispatch_and_read(line, line.exchange("auto"))
    assert called_hosts(line) == "abb"
    since = asyncio.get_running_loop().time()
    x = line.exchange("alone")
    await dispatch_and_read(line, x)
    assert 8.0 <= asyncio.get_running_loop().time() - since <= 8.8
    assert outcomes(x) == ["ok"]
    assert pool(line, "alone").budget._balance == 10.0  # a first attempt is no retry


@pytest.mark.parametrize(
    "headers",
    [
        {"x_ratelimit_reset_requests": "6s", "x_ratelimit_remaining_requests": "0"},
        {"retry_after_ms": "6000"},
        {"retry_after": "Tue, 14 Nov 2023 22:13:26 GMT", "date": "Tue, 14 Nov 2023 22:13:20 GMT"},
    ],
    ids=["reset", "milliseconds", "date"],
)
@in_virtual_time
async def test_every_form_of_a_wait_is_waited(headers: dict[str, str]) -> None:
    line = replay_worker("main: {members: [m-a]}")
    line.play(a=[full_response(b"{}", 429, **headers), GOOD])
    asked = record_calls(line)
    await dispatch_and_read(line, line.exchange("auto"))
    assert 6.0 <= asked.gaps_s[0] <= 6.6


@in_virtual_time
async def test_a_date_without_the_answers_own_is_read_against_our_clock() -> None:
    line = replay_worker("main: {members: [m-a]}")
    line.services.clock.wall = lambda: 1_700_000_000.0  # type: ignore[method-assign]  # Tue, 14 Nov 2023 22:13:20 GMT
    line.play(a=[limited("Tue, 14 Nov 2023 22:13:26 GMT"), GOOD])
    asked = record_calls(line)
    await dispatch_and_read(line, line.exchange("auto"))
    assert 6.0 <= asked.gaps_s[0] <= 6.6


@in_virtual_time
async def test_waits_that_follow_each_other_stay_within_attempts() -> None:
    line = replay_worker("main: {members: [m-a]}")
    line.play(a=limited("2"))
    asked = record_calls(line)
    x = line.exchange("auto")
    with pytest.raises(UpstreamRateLimited) as raised:
        await dispatch_and_read(line, x)
    assert len(x.attempts) == 3
    assert 4.0 <= asked.times[-1][1] <= 4.4
    assert raised.value.retry_after_s == 2.0
    assert not leaks(line)


@in_virtual_time
async def test_waits_that_follow_each_other_stay_within_the_cap() -> None:
    line = replay_worker("main: {members: [m-a], retry: {attempts: 10, retry_after_cap: 10s}}")
    line.play(a=limited("4"))
    asked = record_calls(line)
    with pytest.raises(UpstreamRateLimited):
        await dispatch_and_read(line, line.exchange("auto"))
    assert len(asked.times) == 3
    assert asked.times[-1][1] <= 11.0


@in_virtual_time
async def test_no_wait_is_begun_that_the_total_clock_would_cut() -> None:
    line = replay_worker("main: {members: [m-a], timeout: {total: 5s}}")
    line.play(a=limited("8"))
    since = asyncio.get_running_loop().time()
    with pytest.raises(UpstreamRateLimited) as raised:
        await dispatch_and_read(line, line.exchange("auto"))
    assert raised.value.retry_after_s == 8.0
    assert asyncio.get_running_loop().time() == since


@in_virtual_time
async def test_nobody_waits_whose_pool_does_not_want_to_try_again_after_a_rate_limit() -> None:
    line = replay_worker("main: {members: [m-a], retry: {when: [connect]}}")
    line.play(a=limited("2"))
    since = asyncio.get_running_loop().time()
    for _ in range(2):
        with pytest.raises(UpstreamRateLimited):
            await dispatch_and_read(line, line.exchange("auto"))
    assert asyncio.get_running_loop().time() == since
    assert called_hosts(line) == "a"


@in_virtual_time
async def test_an_endpoint_that_rests_is_not_waited_for_where_its_window_is_known_to_be_too_small() -> None:
    line = replay_worker(
        "main: {members: [m-a], then: spare}\nspare: {members: [m-b]}",
        models=", context: 8k",
        more="  - {name: b, match: [m-b], to: requested}",
    )
    line.play(a=TOO_LONG, b=limited("5"))
    hasty = line.exchange("m-b")
    hasty.timeline.received_at -= 599.0  # its total clock leaves no time to wait
    with pytest.raises(UpstreamRateLimited):
        await dispatch_and_read(line, hasty)
    since = asyncio.get_running_loop().time()
    with pytest.raises(Rejected):
        await dispatch_and_read(line, line.exchange("auto"))
    assert asyncio.get_running_loop().time() == since


@in_virtual_time
async def test_a_client_that_leaves_while_it_waits_as_told_leaves_nothing_behind() -> None:
    line = replay_worker("main: {members: [m-a], max_inflight: 1}")
    line.play(a=limited("10"))
    exchange = line.exchange("auto")
    task = asyncio.ensure_future(dispatch_and_read(line, exchange))
    await asyncio.sleep(5)
    assert pool(line).limiter.in_flight == 0  # others may be served meanwhile
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert exchange.timeline.waits["retry"] == pytest.approx(5.0, abs=0.1)
    assert exchange.timeline.overhead_s == pytest.approx(0.0, abs=0.1)
    assert not leaks(line)
    assert called_hosts(line) == "a"


# Context and content

TOO_LONG = full_response(b'{"error": {"message": "too long", "code": "context_length_exceeded"}}', 400)
REFUSED_TEXT = full_response(b'{"error": {"message": "no", "code": "content_policy_violation"}}', 400)
WINDOWS = """
version: 1
providers:
  a: {kind: openai, url: "http://a.test/v1"}
  b: {kind: openai, url: "http://b.test/v1"}
  c: {kind: openai, url: "http://c.test/v1"}
  d: {kind: openai, url: "http://d.test/v1"}
models:
  m-a: {provider: a, price: {input: 1, output: 2}, quality: 0.5, context: 8k}
  m-b: {provider: b, price: {input: 1, output: 2}, quality: 0.5, context: 8k}
  m-c: {provider: c, price: {input: 1, output: 2}, quality: 0.5, context: 4k}
  m-d: {provider: d, price: {input: 1, output: 2}, quality: 0.5, context: 32k}
pools:
  main: {members: [m-a, m-b], then: small}
  small: {members: [m-c], then: big}
  big: {members: [m-d]}
routes:
  - {name: all, match: [auto], to: main}
  - {name: small, match: [small-only], to: tiny}
""".replace("  big:", "  tiny: {members: [m-a, m-b, m-c]}\n  big:")


@in_virtual_time
async def test_a_prompt_that_is_too_long_goes_to_bigger_windows_only() -> None:
    line = ReplayWorker(WINDOWS, LoopClock())
    line.play(a=TOO_LONG, d=GOOD)
    x = line.exchange("auto")
    await dispatch_and_read(line, x)
    assert called_hosts(line) == "ad"
    assert x.degraded == "main; reason=context_length_exceeded"
    assert set(line.services.circuits().values()) == {"closed"}


@in_virtual_time
async def test_where_no_window_is_bigger_the_providers_own_words_are_told() -> None:
    line = ReplayWorker(WINDOWS, LoopClock())
    line.play(a=TOO_LONG)
    with pytest.raises(Rejected) as raised:
        await dispatch_and_read(line, line.exchange("small-only"))
    assert (raised.value.http_status, raised.value.body) == (400, TOO_LONG.body[0])
    assert called_hosts(line) == "a"


@pytest.mark.parametrize("is_configured", [False, True])
@in_virtual_time
async def test_a_refused_text_is_shown_to_others_only_where_that_is_configured(is_configured: bool) -> None:
    when = "retry: {when: [content_policy]}" if is_configured else "retry: {attempts: 3}"
    line = replay_worker(f"main: {{members: [m-a, m-b], {when}, then: spare}}\nspare: {{members: [m-c], {when}}}")
    line.play(a=REFUSED_TEXT, b=REFUSED_TEXT, c=GOOD)
    if is_configured:
        await dispatch_and_read(line, line.exchange("auto"))
    else:
        with pytest.raises(Rejected) as raised:
            await dispatch_and_read(line, line.exchange("auto"))
        assert raised.value.body == REFUSED_TEXT.body[0]
    assert called_hosts(line) == ("abc" if is_configured else "a")


# Keys

KEYS = """
version: 1
providers:
  a: {kind: openai, url: "http://a.test/v1", keys: ["k-1", "k-2"]}
models:
  m: {provider: a, price: {input: 1, output: 2}, quality: 0.5}
pools:
  main: {members: [m], retry: {when: [connect]}}
routes: [{name: all, match: [auto], to: main}]
"""
BAD_KEY = full_response(b'{"error": {"message": "who are you", "code": "invalid_api_key"}}', 401)


def keys_of(line: ReplayWorker) -> list[str]:
    """Give with which key each call was made."""
    return ["k-1" if b"k-1" in call.head else "k-2" for call in line.transport.calls]


@in_virtual_time
async def test_another_key_is_asked_at_once_and_the_refused_one_rests() -> None:
    line = ReplayWorker(KEYS, LoopClock())
    line.play(a=[BAD_KEY, GOOD])
    asked = record_calls(line)
    await dispatch_and_read(line, line.exchange("auto"))
    assert asked.gaps_s == [0.0]
    for _ in range(3):
        await dispatch_and_read(line, line.exchange("auto"))
    first, *others = keys_of(line)
    assert set(others) == {"k-1", "k-2"} - {first}
    await asyncio.sleep(KEY_REST_S)
    for _ in range(2):
        await dispatch_and_read(line, line.exchange("auto"))
    assert first in keys_of(line)[-2:]


@in_virtual_time
async def test_the_last_key_stays_and_the_client_is_told_502() -> None:
    line = ReplayWorker(KEYS, LoopClock())
    line.play(a=BAD_KEY)
    for number in range(3):
        x = line.exchange("auto")
        with pytest.raises(CredentialRefused) as raised:
            await dispatch_and_read(line, x)
        assert raised.value.http_status == 502
        assert len(x.attempts) == (2 if number == 0 else 1)
    assert len(set(keys_of(line)[1:])) == 1
    assert set(line.services.circuits().values()) == {"closed"}
    line.play(a=GOOD)
    await dispatch_and_read(line, line.exchange("auto"))


@in_virtual_time
async def test_the_error_of_the_last_attempt_is_told() -> None:
    line = replay_worker("main: {members: [m-a], then: spare}\nspare: {members: [m-b], retry: none}")
    line.play(a=BAD_KEY, b=full_response(b"{}", 503, retry_after="3"))
    with pytest.raises(Unavailable) as raised:
        await dispatch_and_read(line, line.exchange("auto"))
    assert (raised.value.http_status, raised.value.retry_after_s) == (503, 3.0)
    line.play(a=DOWN, b=BAD_KEY)
    with pytest.raises(UpstreamError) as other:
        await dispatch_and_read(line, line.exchange("auto"))
    assert other.value.http_status == 502

"""Pools as a whole: their room, open breakers, priorities, and servers that warm up."""

import asyncio
from collections.abc import Callable

import pytest

from gateway.core.errors import (
    NoCapacity,
    Overloaded,
    QueueFull,
    QueueTimeout,
    StillWarming,
    Unavailable,
    UpstreamError,
)
from gateway.core.exchange import Exchange
from gateway.resilience.breaker import BreakerState
from tests.support.dispatching import (
    LoopClock,
    called_hosts,
    delayed,
    dispatch_and_read,
    leaks,
    outcomes,
    pool,
    replay_worker,
)
from tests.support.loops import in_virtual_time
from tests.support.replay import NO_RESPONSE, ReplayWorker, ScriptedResponse, completion, full_response, stream

GOOD = full_response(completion())
DOWN = full_response(b"{}", 500)
SLOW = delayed(GOOD, 1.0)


async def gather(line: ReplayWorker, count: int, model: str = "auto") -> list[bytes | BaseException]:
    return await asyncio.gather(
        *(dispatch_and_read(line, line.exchange(model)) for _ in range(count)), return_exceptions=True
    )


def note_most(line: ReplayWorker, host: str) -> list[int]:
    """Note how many calls run at one host at most, from now on: the last entry."""
    most, running, plain = [0], [0], line.transport.send

    async def counting(call):  # type: ignore[no-untyped-def]
        is_ours = call.origin.host == f"{host}.test"
        running[0] += is_ours
        most[0] = max(most[0], running[0])
        try:
            return await plain(call)
        finally:
            running[0] -= is_ours

    line.transport.send = counting  # type: ignore[method-assign]
    return most


# Room


@in_virtual_time
async def test_no_more_run_than_the_pool_takes_and_the_others_wait_for_their_turn() -> None:
    line = replay_worker("main: {members: [m-a], max_inflight: 3, queue: {max: 100, wait: 60s}}")
    line.play(a=SLOW)
    most = note_most(line, "a")
    loop = asyncio.get_running_loop()
    since = loop.time()
    assert await gather(line, 12) == [completion()] * 12
    assert most == [3]
    assert loop.time() - since == pytest.approx(4.0)
    assert not leaks(line)


@pytest.mark.parametrize(
    "settings",
    [
        {"pools": "main: {members: [{model: m-a, max_inflight: 2}], queue: {wait: 60s}}"},
        {"pools": "main: {members: [m-a], queue: {wait: 60s}}", "models": ", max_inflight: 2"},
        {"pools": "main: {members: [m-a], queue: {wait: 60s}}", "providers": ", max_inflight: 2"},
        {"pools": "main: {members: [m-a], max_inflight: 2, queue: {wait: 60s}}"},
        {"pools": "main: {members: [m-a], max_inflight: 8, queue: {wait: 60s}}", "more": "server: {workers: 4}"},
        {"pools": "main: {members: [m-a], max_inflight: 7, queue: {wait: 60s}}", "more": "server: {workers: 4}"},
    ],
    ids=["member", "model", "provider", "pool", "a worker's part", "a worker's part, rounded up"],
)
@in_virtual_time
async def test_every_cap_holds_and_those_beyond_wait(settings: dict[str, str]) -> None:
    pools = settings.pop("pools")
    line = replay_worker(pools, **settings)
    line.play(a=SLOW)
    most = note_most(line, "a")
    assert await gather(line, 9) == [completion()] * 9
    assert most == [2]
    assert not leaks(line)


@in_virtual_time
async def test_a_member_that_is_full_is_passed_over_where_others_have_room() -> None:
    line = replay_worker("main: {members: [{model: m-a, max_inflight: 2}, m-b]}")
    line.play(a=SLOW, b=SLOW)
    most = note_most(line, "a")
    assert await gather(line, 10) == [completion()] * 10
    assert most == [2]
    assert called_hosts(line).count("b") == 8


@in_virtual_time
async def test_who_finds_a_pool_full_goes_to_the_next_one() -> None:
    line = replay_worker("main: {members: [m-a], max_inflight: 1, queue: none, then: spare}\nspare: {members: [m-b]}")
    line.play(a=SLOW, b=SLOW)
    exchanges = [line.exchange("auto") for _ in range(3)]
    await asyncio.gather(*(dispatch_and_read(line, x) for x in exchanges))
    assert called_hosts(line) == "abb"
    assert [x.degraded for x in exchanges] == ["", "main; reason=overloaded", "main; reason=overloaded"]
    assert not leaks(line)


@in_virtual_time
async def test_without_a_next_one_the_refusal_says_when_to_come_back() -> None:
    line = replay_worker("main: {members: [m-a], max_inflight: 1, queue: {max: 1, wait: 2s}}")
    line.play(a=delayed(GOOD, 3.0))
    answers = await gather(line, 3)
    assert [type(one) for one in answers] == [bytes, QueueTimeout, QueueFull]
    for one in answers[1:]:
        assert isinstance(one, Overloaded)
        assert one.http_status == 503
        assert one.retry_after_s
    assert not leaks(line)


@in_virtual_time
async def test_the_place_in_a_pool_is_kept_over_all_its_attempts_and_taken_once() -> None:
    line = replay_worker("main: {members: [m-a, m-b], max_inflight: 1}")
    line.play(a=delayed(DOWN, 0.1), b=delayed(DOWN, 0.1))
    seen = []
    task = asyncio.ensure_future(dispatch_and_read(line, line.exchange("auto")))
    while not task.done():
        seen.append(pool(line).limiter.in_flight)
        await asyncio.sleep(0.01)
    assert set(seen[1:-1]) == {1}
    assert isinstance(task.exception(), Unavailable)
    assert not leaks(line)


@pytest.mark.parametrize("is_forced", [False, True], ids=["reject", "soonest"])
@in_virtual_time
async def test_a_full_queue_is_no_open_breaker(is_forced: bool) -> None:
    all_open = "soonest" if is_forced else "reject"
    line = replay_worker(f"main: {{members: [m-a], max_inflight: 1, queue: none, all_open: {all_open}}}")
    line.play(a=SLOW)
    most = note_most(line, "a")
    answers = await gather(line, 3)
    assert [type(one) for one in answers] == [bytes, Overloaded, Overloaded]
    assert most == [1]


ENDINGS = {
    "answered": GOOD,
    "failed": DOWN,
    "rejected": full_response(b"{}", 404),
    "rate limited": full_response(b"{}", 429),
    "silent": NO_RESPONSE,
    "cut": ScriptedResponse((b"{",), headers={b"content-type": b"application/json"}, cut=True),
}


@pytest.mark.parametrize("ending", ENDINGS)
@in_virtual_time
async def test_every_ending_gives_the_place_back(ending: str) -> None:
    line = replay_worker("main: {members: [m-a], max_inflight: 1, timeout: {answer: 1s}, breaker: none}")
    line.play(a=ENDINGS[ending])
    for _ in range(3):
        try:
            await dispatch_and_read(line, line.exchange("auto"))
        except UpstreamError:
            assert ending != "answered"
        assert not leaks(line)


@in_virtual_time
async def test_a_place_is_held_while_the_answer_is_relayed() -> None:
    line = replay_worker("main: {members: [m-a], max_inflight: 1, queue: none}")
    line.play(a=stream(is_open=True))
    task = asyncio.ensure_future(dispatch_and_read(line, line.exchange("auto", stream=True)))
    await asyncio.sleep(5)
    with pytest.raises(Overloaded):
        await dispatch_and_read(line, line.exchange("auto"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not leaks(line)


# Open breakers

QUICK = "defaults: {breaker: {failures: 1, recovery: 30s, successes: 1}, retry: none}"


async def open_all(line: ReplayWorker, *hosts: str, pause_s: float = 10.0) -> None:
    """Open the breakers of models that are asked by name, one after the other."""
    for host in hosts:
        line.play(**{host: DOWN})
        with pytest.raises(UpstreamError):
            await dispatch_and_read(line, line.exchange(f"m-{host}"))
        await asyncio.sleep(pause_s)
    line.transport.calls.clear()


BY_NAME = "  - {name: direct, match: [m-a, m-b, m-c], to: requested}\n"
TWO = "first: {members: [m-a]}\nsecond: {members: [m-b]}\nthird: {members: [m-c]}\nmain: {members: [m-a, m-b], then: third%s}"


@in_virtual_time
async def test_where_all_are_open_a_request_is_refused_until_the_first_has_rested() -> None:
    line = replay_worker(TWO % "", more=BY_NAME + QUICK)
    await open_all(line, "a", "b", "c", pause_s=5.0)
    with pytest.raises(NoCapacity) as raised:
        await dispatch_and_read(line, line.exchange("auto"))
    assert (raised.value.http_status, raised.value.retry_after_s) == (503, pytest.approx(15.0))
    assert not line.transport.calls
    await asyncio.sleep(15.0)
    line.play(a=GOOD)
    await dispatch_and_read(line, line.exchange("auto"))
    assert not leaks(line)


@in_virtual_time
async def test_where_all_are_open_the_one_that_rests_least_longer_is_asked_anyway() -> None:
    line = replay_worker(TWO % ", all_open: soonest", more=BY_NAME + QUICK)
    await open_all(line, "b", "c", "a", pause_s=5.0)
    line.play(b=GOOD)
    x = line.exchange("auto")
    await dispatch_and_read(line, x)
    assert called_hosts(line) == "b"
    assert line.endpoints["b/m-b"].breaker.state is BreakerState.OPEN  # it was no probe
    line.play(b=DOWN)
    with pytest.raises(Unavailable):
        await dispatch_and_read(line, line.exchange("auto"))
    assert called_hosts(line) == "bb"
    assert not leaks(line)


@in_virtual_time
async def test_one_closed_breaker_in_the_chain_is_enough_not_to_force_another() -> None:
    line = replay_worker(TWO % ", all_open: soonest", more=BY_NAME + QUICK)
    await open_all(line, "a", "b")
    line.services.rotation.set_drained(["c"])
    with pytest.raises(NoCapacity):
        await dispatch_and_read(line, line.exchange("auto"))
    assert called_hosts(line) == ""


@in_virtual_time
async def test_who_is_asked_in_spite_of_its_breaker_goes_through_the_gate() -> None:
    line = replay_worker(
        "main: {members: [m-a], max_inflight: 2, queue: {wait: 10s}, all_open: soonest}", more=BY_NAME + QUICK
    )
    await open_all(line, "a", pause_s=0.0)
    line.play(a=SLOW)
    most = note_most(line, "a")
    assert await gather(line, 6) == [completion()] * 6
    assert most == [2]
    assert not leaks(line)


@in_virtual_time
async def test_a_pool_mate_that_stands_in_for_a_model_asked_for_by_name_says_so() -> None:
    line = replay_worker("main: {members: [m-a, m-b]}", more="  - {name: direct, match: [m-a, m-b], to: requested}")
    line.play(a=DOWN, b=GOOD)
    x = line.exchange("m-b")
    await dispatch_and_read(line, x)
    assert (x.model, x.degraded) == ("m-b", "")
    x = line.exchange("m-a")
    await dispatch_and_read(line, x)
    assert (x.model, x.degraded) == ("m-b", "m-a; reason=upstream_unavailable")


@in_virtual_time
async def test_who_can_be_asked_behind_an_open_breaker_is_asked_at_once_and_the_answer_says_why() -> None:
    line = replay_worker(TWO % "", more=BY_NAME + QUICK)
    await open_all(line, "a", "b")
    line.play(c=GOOD)
    since = asyncio.get_running_loop().time()
    x = line.exchange("auto")
    await dispatch_and_read(line, x)
    assert called_hosts(line) == "c"
    assert asyncio.get_running_loop().time() == since
    assert x.degraded == "main; reason=no_endpoint_available"


@in_virtual_time
async def test_a_half_open_breaker_lets_one_of_a_hundred_through() -> None:
    line = replay_worker("main: {members: [m-a, m-b]}", more=BY_NAME + QUICK)
    await open_all(line, "a", pause_s=30.0)
    line.play(a=SLOW, b=SLOW)
    assert await gather(line, 100) == [completion()] * 100
    assert called_hosts(line).count("a") == 1
    assert not leaks(line)


def _rest(line: ReplayWorker) -> None:
    line.endpoints["a/m-a"].resting_until = line.endpoints["a/m-a"].retry_after_until = 1012.0


def _refuse_key(line: ReplayWorker) -> None:
    line.endpoints["a/m-a"].credential.refused_until = 1250.0


def _drain(line: ReplayWorker) -> None:
    line.services.rotation.set_drained(["a"])


def _fall_ill(line: ReplayWorker) -> None:
    line.services.rotation.set_health(line.endpoints["a/m-a"], is_healthy=False)


@pytest.mark.parametrize(
    ("happens", "status", "wait_s"),
    [(_rest, 429, 12.0), (_refuse_key, 503, 250.0), (_drain, 503, 1.0), (_fall_ill, 503, 1.0)],
    ids=["rests", "key refused", "drained", "ill"],
)
@in_virtual_time
async def test_who_finds_nobody_is_told_how_long_the_soonest_takes(
    happens: Callable[[ReplayWorker], None], status: int, wait_s: float
) -> None:
    line = replay_worker("main: {members: [m-a], retry: none}")
    line.play(a=GOOD)
    happens(line)
    with pytest.raises((NoCapacity, UpstreamError)) as raised:
        await dispatch_and_read(line, line.exchange("auto"))
    assert (raised.value.http_status, raised.value.retry_after_s) == (status, pytest.approx(wait_s))
    assert not line.transport.calls


@in_virtual_time
async def test_a_provider_that_is_off_is_no_capacity() -> None:
    line = ReplayWorker(
        """
version: 1
providers: {a: {kind: openai, url: "http://a.test/v1", key: "${NOT_SET:-}"}, b: {kind: openai, url: "http://b.test/v1"}}
models:
  m-a: {provider: a, price: {input: 1, output: 2}, quality: 0.5}
  m-b: {provider: b, price: {input: 1, output: 2}, quality: 0.5}
routes: [{name: all, match: [m-a, m-b], to: requested}]
""",
        LoopClock(),
    )
    with pytest.raises(NoCapacity) as raised:
        await dispatch_and_read(line, line.exchange("m-a"))
    assert raised.value.http_status == 503


# Priorities and preferences


@in_virtual_time
async def test_higher_numbers_are_asked_only_where_no_lower_one_can_be() -> None:
    line = replay_worker(
        "main: {members: [{model: m-a, priority: 2}, {model: m-b, priority: 1}, {model: m-c, priority: 1}],"
        " balance: round_robin}"
    )
    line.play(a=GOOD, b=GOOD, c=GOOD)
    for _ in range(4):
        await dispatch_and_read(line, line.exchange("auto"))
    assert called_hosts(line) == "bcbc"
    line.services.rotation.set_drained(["b", "c"])
    await dispatch_and_read(line, line.exchange("auto"))
    assert called_hosts(line) == "bcbca"


@in_virtual_time
async def test_a_conversation_stays_where_it_was_answered() -> None:
    line = replay_worker("main: {members: [m-a, m-b, m-c], balance: round_robin, sticky: conversation}")
    line.play(a=[GOOD, DOWN, GOOD], b=GOOD, c=GOOD)

    def turn(name: str) -> Exchange:
        x = line.exchange("auto")
        x.headers = {"x-conversation-id": name}
        return x

    await dispatch_and_read(line, turn("one"))
    await dispatch_and_read(line, turn("two"))
    assert called_hosts(line) == "ab"
    await dispatch_and_read(line, turn("one"))  # a fails: who answers in its place has the conversation from then on
    moved_to = called_hosts(line)[-1]
    assert called_hosts(line)[2] == "a"
    assert moved_to != "a"
    for _ in range(3):
        await dispatch_and_read(line, turn("one"))
    assert called_hosts(line)[4:] == moved_to * 3


# Servers that warm up

OWN = """
version: 1
providers:
  a: {kind: openai, url: "http://a.test/v1"}
  own: {kind: simulator}
models:
  m-a: {provider: a, price: {input: 1, output: 2}, quality: 0.5}
  m-own: {provider: own, price: {input: 1, output: 2}, quality: 0.5}
defaults: {timeout: {first_token: 20s}}
pools:
  main: {members: [m-own, m-a], retry: {attempts: 1}, max_inflight: 2, queue: {wait: 3s}}
  alone: {members: [m-own], max_inflight: 2, queue: {wait: 3s}}
routes:
  - {name: all, match: [auto], to: main}
  - {name: alone, match: [alone], to: alone}
"""


def warming() -> ReplayWorker:
    line = ReplayWorker(OWN, LoopClock())
    line.activate(OWN, {"own": "unix:own.test"})
    line.services.child_changed("own", "warming")
    line.transport.plays["own.test"] = [delayed(GOOD, 0.5)]
    return line


@in_virtual_time
async def test_those_who_wait_for_a_server_hold_no_place_and_enter_its_pool_when_it_is_up() -> None:
    """More of them than the pool takes, and for longer than its queue lets anybody wait."""
    line = warming()
    tasks = [asyncio.ensure_future(dispatch_and_read(line, line.exchange("alone"))) for _ in range(8)]
    await asyncio.sleep(10)
    assert pool(line, "alone").limiter.in_flight == 0
    assert not any(endpoint.in_flight for endpoint in line.endpoints.values())
    line.services.child_changed("own", "up")
    await asyncio.sleep(0.1)
    assert pool(line, "alone").limiter.in_flight == 2
    assert await asyncio.gather(*tasks) == [completion()] * 8
    assert not leaks(line)


@in_virtual_time
async def test_a_server_that_warms_up_is_asked_though_the_pools_attempts_are_used_up() -> None:
    line = warming()
    line.play(a=DOWN)
    x = line.exchange("auto")
    task = asyncio.ensure_future(dispatch_and_read(line, x))
    await asyncio.sleep(1)
    line.services.child_changed("own", "up")
    assert await task == completion()
    assert outcomes(x) == ["failed", "ok"]
    assert x.timeline.waited_s == pytest.approx(1.5)


@in_virtual_time
async def test_a_server_that_is_not_up_in_time_was_not_asked() -> None:
    line = warming()
    x = line.exchange("alone")
    with pytest.raises(StillWarming) as raised:
        await dispatch_and_read(line, x)
    assert (raised.value.http_status, raised.value.retry_after_s) == (504, 1.0)
    assert x.attempts == []
    assert x.timeline.waited_s == pytest.approx(20.0)
    assert not leaks(line)


@in_virtual_time
async def test_the_total_clock_bounds_the_wait_for_a_server() -> None:
    line = warming()
    x = line.exchange("alone")
    x.timeline.received_at -= 595.0
    since = asyncio.get_running_loop().time()
    with pytest.raises(StillWarming):
        await dispatch_and_read(line, x)
    assert asyncio.get_running_loop().time() - since == pytest.approx(5.0)


@in_virtual_time
async def test_a_server_that_is_drained_is_not_waited_for() -> None:
    line = warming()
    line.services.rotation.set_drained(["own"])
    since = asyncio.get_running_loop().time()
    with pytest.raises(NoCapacity):
        await dispatch_and_read(line, line.exchange("alone"))
    assert asyncio.get_running_loop().time() == since


@in_virtual_time
async def test_a_server_that_was_drained_while_it_warmed_up_is_not_asked() -> None:
    line = warming()
    task = asyncio.ensure_future(dispatch_and_read(line, line.exchange("alone")))
    await asyncio.sleep(1)
    line.services.rotation.set_drained(["own"])
    line.services.child_changed("own", "up")
    with pytest.raises(NoCapacity):
        await task
    assert not line.transport.calls
    assert not leaks(line)

"""Whom a request may try yet, after what it has tried: decided without waiting."""

from math import inf

import pytest

from gateway.core.errors import (
    ContextTooLong,
    CredentialRefused,
    InvalidRequest,
    NoCapacity,
    Rejected,
    Unavailable,
    UpstreamError,
    UpstreamRateLimited,
)
from gateway.core.exchange import Exchange
from gateway.pools.route_plan import PoolStage
from gateway.pools.target import Target
from gateway.upstream.attempt import Attempt
from gateway.upstream.failover import LEAST_RETRY_AFTER_S, RETRY_AFTER_SPREAD, FailoverState, PoolAttempts
from tests.support.dispatching import replay_worker
from tests.support.loops import in_virtual_time
from tests.support.replay import ReplayWorker

THREE = "main: {members: [m-a, m-b, m-c]}"
SPARE = "main: {members: [m-a], then: spare}\nspare: {members: [m-b]}"


def search_of(line: ReplayWorker, exchange: Exchange | None = None) -> FailoverState:
    exchange = exchange or line.exchange("auto")
    return FailoverState(exchange, line.path(exchange), line.services)


def failed(search: FailoverState, stage: PoolStage, target: Target, error: UpstreamError) -> bool:
    """Note a failure as `dispatch` does; gives whether it leads on."""
    attempted = search.attempts.setdefault(stage.pool, PoolAttempts())
    attempted.count += 1
    search.failure = error
    if not search.may_fail_over(error, target):
        return False
    search.note_failure(stage, target, error)
    return True


def name(target: Target | None) -> str:
    return "" if target is None else target.model.name


@in_virtual_time
async def test_who_was_not_tried_comes_first_and_who_failed_comes_again_when_all_were() -> None:
    line = replay_worker(THREE)
    search = search_of(line)
    stage = search.stages[0]
    for expected in ("m-a", "m-b", "m-c"):
        target = search.next(stage)
        assert target is not None and target.model.name == expected
        assert search.is_new(target)
        assert failed(search, stage, target, Unavailable("down"))
        assert not search.is_new(target)
    assert name(search.next(stage)) in ("m-a", "m-b", "m-c")


@in_virtual_time
async def test_who_would_say_the_same_is_not_asked_again() -> None:
    line = replay_worker("main: {members: [m-a]}")
    search = search_of(line)
    stage = search.stages[0]
    assert failed(search, stage, stage.targets[0], UpstreamRateLimited("wait", retry_after_s=3600.0))
    assert search.next(stage) is None
    assert not search.is_worth_waiting(stage)
    assert search.next_retry(stage, search.attempts["main"]) is None


@in_virtual_time
async def test_a_pool_is_asked_next_retry_at_once_for_somebody_new_and_after_a_pause_for_the_same() -> None:
    line = replay_worker("main: {members: [m-a, m-b]}", more="defaults: {retry: {backoff: 1s}}")
    search = search_of(line)
    stage = search.stages[0]
    first, second = stage.targets
    failed(search, stage, first, Unavailable("down"))
    assert search.next_retry(stage, search.attempts["main"]) == (0.0, first.retry.retry_after_cap_s)
    failed(search, stage, second, Unavailable("down", retry_after_s=2.0))
    again = search.next_retry(stage, search.attempts["main"])
    assert again is not None
    assert 0.0 < again[0] <= 1.0


@in_virtual_time
async def test_leave_is_waited_for_longest_where_nobody_stands_behind_a_pool() -> None:
    line = replay_worker(SPARE, more="defaults: {retry: {backoff_cap: 3s, retry_after_cap: 20s}}")
    search = search_of(line)
    for stage, patience_s in zip(search.stages, (3.0, 20.0), strict=True):
        failed(search, stage, stage.targets[0], Unavailable("down"))
        again = search.next_retry(stage, search.attempts[stage.pool])
        assert again is not None
        assert again[1] == patience_s


@in_virtual_time
async def test_a_pool_is_asked_as_often_as_its_settings_say() -> None:
    line = replay_worker(THREE, more="defaults: {retry: {attempts: 2}}")
    search = search_of(line)
    stage = search.stages[0]
    assert search.next_retry(stage, PoolAttempts()) is None  # nothing has failed there: no reason to try again
    failed(search, stage, stage.targets[0], Unavailable("down"))
    assert search.attempts["main"].may_retry
    failed(search, stage, stage.targets[1], Unavailable("down"))
    assert not search.attempts["main"].may_retry
    assert search.next_retry(stage, search.attempts["main"]) is None


@in_virtual_time
async def test_nothing_is_paused_for_that_would_come_too_late() -> None:
    line = replay_worker("main: {members: [m-a]}", more="defaults: {timeout: {total: 5s}}")
    search = search_of(line)
    stage = search.stages[0]
    target = stage.targets[0]
    assert not search.is_too_late(target, 4.0)
    assert search.is_too_late(target, 5.0)
    failed(search, stage, target, Unavailable("down", retry_after_s=6.0))
    assert search.next_retry(stage, search.attempts["main"]) is None


@in_virtual_time
async def test_no_total_clock_is_never_too_late() -> None:
    line = replay_worker("main: {members: [m-a]}", more="defaults: {timeout: {total: none}}")
    search = search_of(line)
    target = search.stages[0].targets[0]
    assert search.total_at(target) is None
    assert not search.is_too_late(target, inf)


@in_virtual_time
async def test_beside_one_that_is_slow_somebody_else_is_asked() -> None:
    line = replay_worker(THREE)
    search = search_of(line)
    stage = search.stages[0]
    first = stage.targets[0]
    others = search.others(stage, first)
    assert first not in others
    assert search.pick(stage, others) in others


@in_virtual_time
async def test_nobody_is_asked_beside_one_that_is_slow_when_there_is_no_time() -> None:
    line = replay_worker(THREE, more="defaults: {timeout: {total: 5s}}")
    exchange = line.exchange("auto")
    exchange.timeline.received_at -= 5.0
    search = search_of(line, exchange)
    assert search.others(search.stages[0], search.stages[0].targets[0]) == []


@in_virtual_time
async def test_a_prompt_that_was_too_long_wants_a_larger_window() -> None:
    line = replay_worker("main: {members: [m-a, m-b]}", models=", context: 8k")
    search = search_of(line)
    stage = search.stages[0]
    error = ContextTooLong("too long", status=400, body=b"", content_type="")
    assert failed(search, stage, stage.targets[0], error)
    assert search.next(stage) is None


@in_virtual_time
async def test_a_fault_of_the_request_leads_nowhere() -> None:
    line = replay_worker(THREE)
    search = search_of(line)
    stage = search.stages[0]
    assert not failed(search, stage, stage.targets[0], Rejected("no", status=400, body=b"", content_type=""))


@in_virtual_time
async def test_a_refused_key_is_noted() -> None:
    line = replay_worker(THREE)
    search = search_of(line)
    stage = search.stages[0]
    failed(search, stage, stage.targets[0], CredentialRefused("no"))
    assert stage.targets[0].endpoint.credential.is_refused


@in_virtual_time
async def test_the_shortest_wait_that_was_told_is_taken_and_patience_is_one_for_all() -> None:
    line = replay_worker("main: {members: [m-a, m-b]}", more="defaults: {retry: {retry_after_cap: 10s}}")
    search = search_of(line)
    stage = search.stages[0]
    assert search.next_rested() is None
    failed(search, stage, stage.targets[0], UpstreamRateLimited("wait", retry_after_s=9.0))
    failed(search, stage, stage.targets[1], UpstreamRateLimited("wait", retry_after_s=6.0))
    told = search.next_rested()
    assert told is not None
    assert told[0] is stage
    assert 6.0 <= told[1] <= 6.0 * (1.0 + RETRY_AFTER_SPREAD)
    assert search.next_rested() is None  # of 11 seconds less than 6 are left


@in_virtual_time
async def test_a_family_is_not_limited_as_one() -> None:
    line = replay_worker("main: {members: [m-a]}")
    line.activate(
        "version: 1\nproviders: {a: {kind: openai, url: 'http://a.test/v1'}}\n"
        "models: {'m-*': {provider: a, price: {input: 1, output: 2}, quality: 0.5}}\n"
        "routes: [{name: all, match: ['m-*'], to: requested}]\n"
    )
    search = search_of(line, line.exchange("m-1"))
    stage = search.stages[0]
    failed(search, stage, stage.targets[0], UpstreamRateLimited("wait", retry_after_s=5.0))
    assert stage.targets[0].endpoint.resting_until == 0.0


@in_virtual_time
async def test_where_all_breakers_are_open_the_soonest_is_asked_if_the_pool_wants_that() -> None:
    line = replay_worker("main: {members: [m-a, m-b], all_open: soonest}")
    search = search_of(line)
    assert search.soonest() is None
    line.endpoints["a/m-a"].breaker.trip()
    line.endpoints["b/m-b"].breaker.trip(1.0)
    found = search.soonest()
    assert found is not None and name(found[1]) == "m-b"
    search.refusal = NoCapacity("full")
    assert search.soonest() is None


@in_virtual_time
async def test_a_pool_that_rejects_asks_nobody_behind_open_breakers() -> None:
    line = replay_worker("main: {members: [m-a]}")
    line.endpoints["a/m-a"].breaker.trip()
    assert search_of(line).soonest() is None


@in_virtual_time
async def test_nobody_is_explained_by_what_keeps_each_from_being_asked() -> None:
    line = replay_worker(SPARE)
    search = search_of(line)
    assert isinstance(search.unavailable(), NoCapacity)
    assert search.unavailable().retry_after_s == LEAST_RETRY_AFTER_S
    first = search.stages[0].targets[0]
    search.may_fail_over(UpstreamRateLimited("wait", retry_after_s=5.0), first)
    line.endpoints["b/m-b"].breaker.trip()
    error = search.unavailable()
    assert isinstance(error, UpstreamRateLimited)
    assert error.retry_after_s == pytest.approx(5.0)


@in_virtual_time
async def test_a_path_that_no_provider_has_is_the_requests_fault() -> None:
    line = replay_worker(THREE)
    exchange = line.exchange("auto")
    path = line.path(exchange)
    exchange.path = "/v1/else"
    assert isinstance(FailoverState(exchange, path, line.services).unavailable(), InvalidRequest)


@in_virtual_time
async def test_an_endpoint_without_room_is_waited_for_and_not_asked() -> None:
    line = replay_worker("main: {members: [m-a]}", models=", max_inflight: 1")
    exchange = line.exchange("auto")
    search = search_of(line, exchange)
    stage = search.stages[0]
    attempt = Attempt(exchange, stage.targets[0], "main", None, line.services)
    assert search.next(stage) is None
    assert search.is_worth_waiting(stage)
    attempt.abandon()
    assert name(search.next(stage)) == "m-a"

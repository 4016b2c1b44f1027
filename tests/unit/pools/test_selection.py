"""Which targets of a pool are eligible, which one is picked, when others become available; the slow start."""

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from gateway.config.spec import BreakerSpec
from gateway.pools.balancers.base import BALANCERS, RequestFacts
from gateway.pools.balancers.round_robin import RoundRobin
from gateway.pools.directory import PoolState
from gateway.pools.endpoint import Endpoint, EndpointId
from gateway.pools.route_plan import PoolStage
from gateway.pools.selection import (
    apply_slow_start,
    available_in_s,
    eligible_targets,
    is_eligible,
    pick,
    slow_start_share,
)
from gateway.pools.target import Target
from gateway.resilience.breaker import Breaker
from tests.support.clock import FakeClock
from tests.support.targets import names, target

NOW = 1000.0
PATH = "/v1/chat/completions"


def one(name: str, clock: FakeClock | None = None, **settings: Any) -> Target:
    """Return a target with a breaker that opens at its first failure."""
    breaker = Breaker(BreakerSpec(failures=1, recovery_s=30.0), clock or FakeClock())
    return target(name, endpoint=Endpoint(EndpointId(f"web/{name}"), "web", name, breaker), **settings)


def stage(*targets: Target, **settings: Any) -> PoolStage:
    ordered = tuple(sorted(targets, key=lambda one: one.priority))
    state = PoolState.new(FakeClock())
    return PoolStage("main", ordered, RoundRobin(ordered, random.Random(1)), state, **settings)


def found(stage: PoolStage, **settings: Any) -> str:
    is_warming = settings.pop("is_warming", lambda provider: False)
    return names(eligible_targets(stage, PATH, NOW, is_warming, **settings))


def open_breaker(endpoint: Endpoint) -> None:
    permit = endpoint.breaker.try_acquire()
    assert permit is not None
    permit.fail()


def test_all_eligible_targets_are_returned_in_their_order() -> None:
    assert found(stage(one("a"), one("b"), one("c"))) == "abc"


def take_out(endpoint: Endpoint, why: str) -> None:
    match why:
        case "drained":
            endpoint.is_drained = True
        case "ill":
            endpoint.is_healthy = False
        case "resting":
            endpoint.resting_until = NOW + 1
        case "its key refused":
            endpoint.credential.refused_until = NOW + 1
        case "its breaker open":
            open_breaker(endpoint)


@pytest.mark.parametrize("why", ["drained", "ill", "resting", "its key refused", "its breaker open"])
def test_an_endpoint_out_of_rotation_is_passed_over(why: str) -> None:
    pool = stage(one("a"), one("b"))
    take_out(pool.targets[0].endpoint, why)
    assert found(pool) == "b"
    assert not is_eligible(pool.targets[0], PATH, NOW, (), 0)
    assert is_eligible(pool.targets[1], PATH, NOW, (), 0)


def test_rests_end_in_time() -> None:
    pool = stage(one("a"))
    endpoint = pool.targets[0].endpoint
    endpoint.resting_until = endpoint.credential.refused_until = NOW
    assert found(pool) == "a"


def test_a_full_or_warming_target_is_passed_over_but_eligible_later() -> None:
    full, crowd, cold = one("a", max_inflight=1), one("b", provider_max_inflight=3), one("c")
    full.endpoint.in_flight = 1
    crowd.endpoint.load.in_flight = 3
    assert found(stage(full, crowd)) == ""
    assert found(stage(cold), is_warming=lambda provider: provider == "web") == ""
    assert all(is_eligible(one, PATH, NOW, (), 0) for one in (full, crowd, cold))


def test_a_half_open_breaker_makes_a_candidate_while_no_probe_runs() -> None:
    clock = FakeClock()
    pool = stage(one("a", clock))
    open_breaker(pool.targets[0].endpoint)
    clock.advance(30)
    assert found(pool) == "a"
    probe = pool.targets[0].endpoint.breaker.try_acquire()
    assert probe is not None
    assert found(pool) == ""
    probe.abandon()
    assert found(pool) == "a"


def test_a_provider_that_has_no_way_for_the_path_is_passed_over() -> None:
    assert eligible_targets(stage(one("a")), "/v1/elsewhere", NOW, lambda provider: False) == []


def test_those_left_out_are_passed_over() -> None:
    pool = stage(one("a"), one("b"))
    assert found(pool, excluded={pool.targets[0].endpoint}) == "b"


def test_only_the_lowest_number_that_has_anybody_is_looked_at() -> None:
    pool = stage(one("c", priority=3), one("a"), one("b"), one("d", priority=2))
    assert found(pool) == "ab"
    out = {pool.targets[0].endpoint}
    assert found(pool, excluded=out) == "b"
    out.add(pool.targets[1].endpoint)
    assert found(pool, excluded=out) == "d"


@pytest.mark.parametrize(("context", "expected"), [(0, "abc"), (8000, "c"), (16000, ""), (1, "bc")])
def test_a_window_has_to_be_larger_and_known(context: int, expected: str) -> None:
    sizes = {"a": None, "b": 8000, "c": 16000}
    targets = [replace(one(name), model=replace(one(name).model, context=size)) for name, size in sizes.items()]
    assert found(stage(*targets), context_above=context) == expected


# Picking


def picks(pool: PoolStage, count: int, affinity: str = "", now: float = NOW) -> str:
    rng = random.Random(1)
    return names([pick(pool, pool.targets, RequestFacts(now, False, affinity), rng) for _ in range(count)])


def test_the_balancer_picks() -> None:
    assert picks(stage(one("a"), one("b"), one("c")), 6) == "abcabc"


def test_a_single_one_is_picked_without_asking_anybody() -> None:
    pool = stage(one("a"))
    pool.targets[0].endpoint.recovered_at = NOW
    assert picks(pool, 3) == "aaa"


def test_the_sticky_endpoint_is_preferred_in_a_sticky_pool() -> None:
    pool = stage(one("a"), one("b"), is_sticky=True)
    pool.state.sticky.remember("talk", pool.targets[1].endpoint)
    assert picks(pool, 3, "talk") == "bbb"
    assert picks(pool, 2, "other") == "ab"
    plain = stage(one("a"), one("b"))
    plain.state.sticky.remember("talk", plain.targets[1].endpoint)
    assert picks(plain, 2, "talk") == "ab"


def test_one_that_recovered_takes_a_small_share_at_first() -> None:
    pool = stage(one("a", slow_start_s=10.0), one("b", slow_start_s=10.0))
    pool.targets[0].endpoint.recovered_at = NOW
    assert 0 < picks(pool, 1000).count("a") < 120
    assert picks(pool, 1000, now=NOW + 10).count("a") == 500


def test_every_strategy_is_there() -> None:
    assert "round_robin" in BALANCERS


# Coming back


def test_an_available_endpoint_is_available_in_0_s() -> None:
    assert available_in_s(one("a").endpoint, NOW) == 0.0


def test_the_longest_of_all_that_keeps_it_away_counts() -> None:
    clock = FakeClock(NOW)
    endpoint = one("a", clock).endpoint
    endpoint.resting_until = endpoint.retry_after_until = NOW + 5
    assert available_in_s(endpoint, NOW) == 5
    open_breaker(endpoint)
    assert available_in_s(endpoint, NOW) == 30
    endpoint.credential.refused_until = NOW + 300
    assert available_in_s(endpoint, NOW) == 300


def test_retry_after_counts_in_full_while_the_endpoint_rests() -> None:
    endpoint = one("a").endpoint
    endpoint.resting_until, endpoint.retry_after_until = NOW + 20, NOW + 60
    assert available_in_s(endpoint, NOW) == 60
    assert available_in_s(endpoint, NOW + 20) == 0


@pytest.mark.parametrize("why", ["drained", "ill"])
def test_it_is_unknown_when_a_drained_or_unhealthy_endpoint_is_available(why: str) -> None:
    endpoint = one("a").endpoint
    take_out(endpoint, why)
    assert available_in_s(endpoint, NOW) is None


# The slow start


@pytest.mark.parametrize(
    ("passed_s", "expected"), [(-1.0, 0.1), (0.0, 0.1), (2.5, 0.325), (5.0, 0.55), (10.0, 1.0), (99.0, 1.0)]
)
def test_the_share_grows_evenly_from_a_tenth(passed_s: float, expected: float) -> None:
    one = target(slow_start_s=10.0)
    one.endpoint.recovered_at = 500.0
    assert slow_start_share(one, 500.0 + passed_s) == pytest.approx(expected)


@pytest.mark.parametrize("now", [499.0, 500.0, 501.0])
def test_without_a_slow_start_the_share_is_whole_at_once(now: float) -> None:
    one = target(slow_start_s=0.0)
    one.endpoint.recovered_at = 500.0
    assert slow_start_share(one, now) == 1.0


def test_an_endpoint_that_never_failed_has_its_whole_share() -> None:
    one = target(slow_start_s=10.0)
    assert slow_start_share(one, 1.0) == 1.0


def test_without_a_slow_start_the_candidates_are_left_as_they_are(clock: FakeClock) -> None:
    pool = [target("a", slow_start_s=10.0), target("b", slow_start_s=10.0)]
    rng = random.Random(1)
    before = rng.getstate()
    assert apply_slow_start(pool, clock.monotonic(), rng) is pool
    pool[0].endpoint.recovered_at = clock.monotonic()
    clock.advance(10.0)
    assert apply_slow_start(pool, clock.monotonic(), rng) is pool
    assert rng.getstate() == before


def test_a_target_in_slow_start_takes_part_as_often_as_its_share(clock: FakeClock) -> None:
    pool = [target(name, slow_start_s=10.0) for name in "abc"]
    pool[1].endpoint.recovered_at = clock.monotonic()
    rng = random.Random(1)
    for passed_s, expected in ((0.0, 0.1), (5.0, 0.55)):
        now = clock.monotonic() + passed_s
        seen = Counter(names(apply_slow_start(pool, now, rng)) for _ in range(4000))
        assert set(seen) == {"abc", "ac"}
        assert seen["abc"] / 4000 == pytest.approx(expected, abs=0.03)


def test_a_candidate_is_always_left(clock: FakeClock) -> None:
    pool = [target(name, slow_start_s=10.0) for name in "ab"]
    for each in pool:
        each.endpoint.recovered_at = clock.monotonic()
    rng = random.Random(1)
    seen = Counter(names(apply_slow_start(pool, clock.monotonic(), rng)) for _ in range(2000))
    assert set(seen) == {"ab", "a", "b"}
    assert seen["ab"] > 1500, "both are as new, and neither is favoured"
    assert abs(seen["a"] - seen["b"]) < 80
    assert apply_slow_start(pool[:1], clock.monotonic(), rng)

"""The slow start: a share that grows."""

import random
from collections import Counter

import pytest

from gateway.pools.slow_start import ramped, share
from tests.support.clock import FakeClock
from tests.support.targets import names, target


@pytest.mark.parametrize(
    ("passed_s", "expected"), [(-1.0, 0.1), (0.0, 0.1), (2.5, 0.325), (5.0, 0.55), (10.0, 1.0), (99.0, 1.0)]
)
def test_the_share_grows_evenly_from_a_tenth(passed_s: float, expected: float) -> None:
    one = target(slow_start_s=10.0)
    one.endpoint.recovered_at = 500.0
    assert share(one.endpoint, one, 500.0 + passed_s) == pytest.approx(expected)


@pytest.mark.parametrize("now", [499.0, 500.0, 501.0])
def test_without_a_slow_start_the_share_is_whole_at_once(now: float) -> None:
    one = target(slow_start_s=0.0)
    one.endpoint.recovered_at = 500.0
    assert share(one.endpoint, one, now) == 1.0


def test_who_never_failed_has_its_whole_share() -> None:
    one = target(slow_start_s=10.0)
    assert share(one.endpoint, one, 1.0) == 1.0


def test_where_nobody_ramps_the_candidates_are_left_as_they_are(clock: FakeClock) -> None:
    pool = [target("a", slow_start_s=10.0), target("b", slow_start_s=10.0)]
    rng = random.Random(1)
    before = rng.getstate()
    assert ramped(pool, clock.monotonic(), rng) is pool
    pool[0].endpoint.recovered_at = clock.monotonic()
    clock.advance(10.0)
    assert ramped(pool, clock.monotonic(), rng) is pool
    assert rng.getstate() == before


def test_who_ramps_takes_part_as_often_as_its_share(clock: FakeClock) -> None:
    pool = [target(name, slow_start_s=10.0) for name in "abc"]
    pool[1].endpoint.recovered_at = clock.monotonic()
    rng = random.Random(1)
    for passed_s, expected in ((0.0, 0.1), (5.0, 0.55)):
        now = clock.monotonic() + passed_s
        seen = Counter(names(ramped(pool, now, rng)) for _ in range(4000))
        assert set(seen) == {"abc", "ac"}
        assert seen["abc"] / 4000 == pytest.approx(expected, abs=0.03)


def test_somebody_is_always_left(clock: FakeClock) -> None:
    pool = [target(name, slow_start_s=10.0) for name in "ab"]
    for each in pool:
        each.endpoint.recovered_at = clock.monotonic()
    rng = random.Random(1)
    seen = Counter(names(ramped(pool, clock.monotonic(), rng)) for _ in range(2000))
    assert set(seen) == {"ab", "a", "b"}
    assert seen["ab"] > 1500, "both are as new, and neither is favoured"
    assert abs(seen["a"] - seen["b"]) < 80
    assert ramped(pool[:1], clock.monotonic(), rng)

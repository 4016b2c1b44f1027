"""`p2c`: the less busy of two drawn by lot."""

import random
from collections import Counter

from gateway.pools.balancers.base import RequestFacts
from gateway.pools.balancers.p2c import PowerOfTwo
from tests.support.targets import names, target

FACTS = RequestFacts(now=0.0, is_stream=True)


def test_of_two_the_less_busy_for_its_weight() -> None:
    pool = [target("a", in_flight=3), target("b", in_flight=2)]
    balancer = PowerOfTwo(pool, random.Random(1))
    assert {names([balancer.pick(pool, FACTS)]) for _ in range(40)} == {"b"}
    heavy = [target("a", in_flight=3, weight=2.0), pool[1]]
    assert {names([balancer.pick(heavy, FACTS)]) for _ in range(40)} == {"a"}


def test_never_the_busiest_of_all() -> None:
    pool = [target(name, in_flight=busy) for name, busy in (("a", 1), ("b", 2), ("c", 9), ("d", 1))]
    balancer = PowerOfTwo(pool, random.Random(1))
    assert {names([balancer.pick(pool, FACTS)]) for _ in range(300)} == {"a", "b", "d"}


def test_equals_are_drawn_by_lot() -> None:
    pool = [target(name) for name in "abcd"]
    balancer = PowerOfTwo(pool, random.Random(1))
    picks = Counter(names([balancer.pick(pool, FACTS)]) for _ in range(4000))
    assert all(880 < picks[name] < 1120 for name in "abcd")


def test_one_candidate_needs_no_lot() -> None:
    pool = [target("a")]
    rng = random.Random(1)
    before = rng.getstate()
    assert PowerOfTwo(pool, rng).pick(pool, FACTS) is pool[0]
    assert rng.getstate() == before


def test_requests_that_stay_lie_nearly_even() -> None:
    pool = [target(f"{number}") for number in range(20)]
    balancer = PowerOfTwo(pool, random.Random(1))
    for _ in range(2000):
        balancer.pick(pool, FACTS).endpoint.in_flight += 1
    busy = [each.endpoint.in_flight for each in pool]
    assert max(busy) - min(busy) <= 5, "by one lot alone it would be about 40"
    assert PowerOfTwo.supports_slow_start

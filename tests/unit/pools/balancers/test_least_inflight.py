"""`least_inflight`: the fewest running requests."""

import random
from collections import Counter

from gateway.pools.balancers.base import RequestFacts
from gateway.pools.balancers.least_inflight import LeastInflight, load
from tests.support.targets import names, target

FACTS = RequestFacts(now=0.0, is_stream=True)


def test_never_a_busier_one() -> None:
    rng = random.Random(5)
    pool = [target(name) for name in "abcde"]
    balancer = LeastInflight(pool, rng)
    for _ in range(300):
        for each in pool:
            each.endpoint.in_flight = rng.randrange(4)
        picked = balancer.pick(pool, FACTS)
        assert picked.endpoint.in_flight == min(each.endpoint.in_flight for each in pool)


def test_busy_is_for_its_weight() -> None:
    pool = [target("a", in_flight=5, weight=3.0), target("b", in_flight=2)]
    balancer = LeastInflight(pool, random.Random(1))
    assert balancer.pick(pool, FACTS) is pool[0]
    assert (load(pool[0]), load(pool[1])) == (5 / 3, 2.0)


def test_equals_take_turns_the_heavier_more_often() -> None:
    pool = [target("a", weight=3.0), target("b"), target("c", in_flight=1)]
    balancer = LeastInflight(pool, random.Random(1))
    assert names([balancer.pick(pool, FACTS) for _ in range(8)]) == "aabaaaba"


def test_requests_that_stay_are_dealt_out_by_weight() -> None:
    pool = [target("a", weight=4.0), target("b", weight=2.0), target("c", weight=1.0)]
    balancer = LeastInflight(pool, random.Random(1))
    picks: Counter[str] = Counter()
    for _ in range(70):
        picked = balancer.pick(pool, FACTS)
        picked.endpoint.in_flight += 1
        picks[names([picked])] += 1
    assert picks == {"a": 40, "b": 20, "c": 10}
    assert LeastInflight.supports_slow_start

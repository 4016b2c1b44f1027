"""`weighted`: shares by weight."""

import random
from collections import Counter

from gateway.pools.balancers.base import RequestFacts
from gateway.pools.balancers.weighted import Weighted
from tests.support.targets import names, target

FACTS = RequestFacts(now=0.0, is_stream=True)


def test_heavier_ones_are_spread_between_lighter_ones() -> None:
    pool = [target("a", weight=5.0), target("b"), target("c")]
    balancer = Weighted(pool, random.Random(1))
    assert names([balancer.pick(pool, FACTS) for _ in range(7)]) == "aabacaa"
    assert Weighted.supports_slow_start


def test_shares_are_those_of_the_remaining_candidates() -> None:
    pool = [target("a", weight=5.0), target("b", weight=3.0), target("c", weight=1.0)]
    balancer = Weighted(pool, random.Random(1))
    for _ in range(5):
        balancer.pick(pool, FACTS)
    picks = Counter(names([balancer.pick(pool[1:], FACTS) for _ in range(400)]))
    assert abs(picks["b"] - 300) <= 9

"""From many candidates to few."""

import random
from collections import Counter

from gateway.pools.balancers.narrow import least, two_of
from tests.support.targets import names, target

POOL = [target(name, in_flight=busy) for name, busy in (("a", 2), ("b", 1), ("c", 1), ("d", 3))]


def test_all_that_cost_least_are_left_in_their_order() -> None:
    assert names(least(POOL, lambda each: each.endpoint.in_flight)) == "bc"


def test_one_that_costs_least_is_left_alone() -> None:
    assert names(least(POOL, lambda each: -each.endpoint.in_flight)) == "d"


def test_two_are_different_ones_and_every_pair_is_as_likely() -> None:
    rng = random.Random(3)
    pairs = Counter(names(two_of(POOL, rng)) for _ in range(12_000))
    assert len(pairs) == 12
    assert all(len(set(pair)) == 2 for pair in pairs)
    assert all(850 < count < 1150 for count in pairs.values())


def test_of_two_both_are_taken() -> None:
    rng = random.Random(3)
    assert {names(two_of(POOL[:2], rng)) for _ in range(50)} == {"ab", "ba"}

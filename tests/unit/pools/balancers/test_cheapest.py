"""`cheapest`: the lowest price."""

import random

from gateway.pools.balancers.base import RequestFacts
from gateway.pools.balancers.cheapest import Cheapest, price
from tests.support.targets import names, target

FACTS = RequestFacts(now=0.0, is_stream=True)


def test_the_lowest_price_however_busy() -> None:
    pool = [target("a", price=(250, 1000)), target("b", price=(15, 60), in_flight=90)]
    assert Cheapest(pool, random.Random(1)).pick(pool, FACTS) is pool[1]


def test_three_tokens_of_the_prompt_count_for_each_of_the_answer() -> None:
    pool = [target("a", price=(100, 500)), target("b", price=(200, 190))]
    assert (price(pool[0]), price(pool[1])) == (800, 790)
    assert Cheapest(pool, random.Random(1)).pick(pool, FACTS) is pool[1]


def test_of_equal_prices_the_less_busy_and_then_by_turns() -> None:
    pool = [target("a", in_flight=1), target("b"), target("c"), target("d", price=(1, 1))]
    balancer = Cheapest(pool, random.Random(1))
    assert names([balancer.pick(pool, FACTS) for _ in range(4)]) == "bcbc"
    assert not Cheapest.supports_slow_start

"""`round_robin`: everyone in turn."""

import random

from gateway.pools.balancers.base import RequestFacts
from gateway.pools.balancers.round_robin import RoundRobin
from tests.support.targets import names, target


def test_everyone_in_turn_whatever_its_weight_and_load() -> None:
    pool = [target("a", weight=9.0), target("b", in_flight=50), target("c")]
    balancer = RoundRobin(pool, random.Random(1))
    assert names([balancer.pick(pool, RequestFacts(0.0, is_stream=True)) for _ in range(6)]) == "abcabc"
    assert RoundRobin.supports_slow_start

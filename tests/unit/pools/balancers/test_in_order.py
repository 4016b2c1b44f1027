"""`in_order`: the first that can be asked."""

import random
from collections.abc import Sequence

from gateway.pools.balancers.base import RequestFacts
from gateway.pools.balancers.in_order import InOrder
from gateway.pools.target import Target
from tests.support.targets import names, target

POOL = [target(name) for name in ("a#1", "a#2", "b", "c")]
FACTS = RequestFacts(now=0.0, is_stream=True)


def take(balancer: InOrder, candidates: Sequence[Target], count: int) -> str:
    return names([balancer.pick(candidates, FACTS) for _ in range(count)])


def test_the_first_member_is_picked_and_its_endpoints_take_turns() -> None:
    assert take(InOrder(POOL, random.Random(1)), POOL, 4) == "a#1a#2a#1a#2"


def test_the_next_member_is_picked_if_the_first_is_not_eligible() -> None:
    balancer = InOrder(POOL, random.Random(1))
    assert take(balancer, POOL[1:], 2) == "a#2a#2"
    assert take(balancer, POOL[2:], 3) == "bbb"


def test_how_busy_it_is_does_not_matter() -> None:
    busy = [target("a", in_flight=100), target("b")]
    assert take(InOrder(busy, random.Random(1)), busy, 3) == "aaa"


def test_it_does_not_spread() -> None:
    assert not InOrder.supports_slow_start

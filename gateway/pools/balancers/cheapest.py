"""`cheapest`: the eligible target with the lowest price."""

import random
from collections.abc import Sequence
from typing import ClassVar, Final

from gateway.pools.balancers.base import BALANCERS, RequestFacts
from gateway.pools.balancers.choice_rules import lowest_cost
from gateway.pools.balancers.least_inflight import LeastInflight
from gateway.pools.target import Target

INPUT_PER_OUTPUT: Final = 3  # tokens in a typical request: the mix by which prices are compared


class Cheapest:
    """Of several with the same price it picks the least busy one."""

    supports_slow_start: ClassVar = False

    def __init__(self, targets: Sequence[Target], rng: random.Random) -> None:
        self._tie_breaker = LeastInflight(targets, rng)

    def pick(self, candidates: Sequence[Target], facts: RequestFacts) -> Target:
        return self._tie_breaker.pick(lowest_cost(candidates, price), facts)


def price(target: Target) -> int:
    """Return the price of a typical mix: picodollars for `INPUT_PER_OUTPUT` input tokens and one output token."""
    tariff = target.model.price
    return INPUT_PER_OUTPUT * tariff.input + tariff.output


BALANCERS.register("cheapest", Cheapest)

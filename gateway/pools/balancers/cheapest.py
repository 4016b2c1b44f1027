"""`cheapest`: the lowest price that can be asked."""

import random
from collections.abc import Sequence
from typing import ClassVar, Final

from gateway.pools.balancers.base import BALANCERS, RequestFacts
from gateway.pools.balancers.common import lowest_cost
from gateway.pools.balancers.least_inflight import LeastInflight
from gateway.pools.target import Target

INPUT_PER_OUTPUT: Final = 3  # tokens of the prompt for each of the answer: what a price is judged by


class Cheapest:
    """Where several cost the same, the least busy of them."""

    supports_slow_start: ClassVar = False

    def __init__(self, targets: Sequence[Target], rng: random.Random) -> None:
        self._among_equals = LeastInflight(targets, rng)

    def pick(self, candidates: Sequence[Target], facts: RequestFacts) -> Target:
        return self._among_equals.pick(lowest_cost(candidates, price), facts)


def price(target: Target) -> int:
    """Give what a typical mix of tokens costs: picodollars for `INPUT_PER_OUTPUT` of the prompt and one of the answer."""
    tariff = target.model.price
    return INPUT_PER_OUTPUT * tariff.input + tariff.output


BALANCERS.register("cheapest", Cheapest)

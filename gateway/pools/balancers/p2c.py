"""`p2c`: the less busy of two drawn at random.

Nearly as even as comparing all (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001). And several
gateways, each of which knows its own requests only, do not all choose the same endpoint.
"""

import random
from collections.abc import Sequence
from typing import ClassVar

from gateway.pools.balancers.base import BALANCERS, RequestFacts
from gateway.pools.balancers.choice_rules import draw_two
from gateway.pools.balancers.least_inflight import load
from gateway.pools.target import Target


class PowerOfTwo:
    """Busy means running requests per weight. Of two that are equally busy it picks the first drawn."""

    supports_slow_start: ClassVar = True

    def __init__(self, targets: Sequence[Target], rng: random.Random) -> None:
        self._rng = rng

    def pick(self, candidates: Sequence[Target], facts: RequestFacts) -> Target:
        if len(candidates) == 1:
            return candidates[0]
        one, other = draw_two(candidates, self._rng)
        return other if load(other) < load(one) else one


BALANCERS.register("p2c", PowerOfTwo)

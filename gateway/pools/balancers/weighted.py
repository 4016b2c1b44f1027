"""`weighted`: shares by weight, spread out instead of in bursts."""

import random
from collections.abc import Sequence
from typing import ClassVar

from gateway.pools.balancers.base import BALANCERS, Facts
from gateway.pools.balancers.common import Turns
from gateway.pools.target import Target


class Weighted:
    """Smooth weighted round robin: with weights 5, 1 and 1 the order is a a b a c a a."""

    spreads: ClassVar = True

    def __init__(self, targets: Sequence[Target], rng: random.Random) -> None:
        self._turns = Turns(by_weight=True)

    def pick(self, candidates: Sequence[Target], facts: Facts) -> Target:
        return self._turns.next(candidates)


BALANCERS.register("weighted", Weighted)

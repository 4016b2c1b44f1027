"""`weighted`: shares by weight, interleaved rather than in bursts."""

import random
from collections.abc import Sequence
from typing import ClassVar

from gateway.pools.balancers.base import BALANCERS, RequestFacts
from gateway.pools.balancers.choice_rules import SmoothRoundRobin
from gateway.pools.target import Target


class Weighted:
    """Smooth weighted round robin: with weights 5, 1 and 1 the order is a a b a c a a."""

    supports_slow_start: ClassVar = True

    def __init__(self, targets: Sequence[Target], rng: random.Random) -> None:
        self._turns = SmoothRoundRobin(by_weight=True)

    def pick(self, candidates: Sequence[Target], facts: RequestFacts) -> Target:
        return self._turns.next(candidates)


BALANCERS.register("weighted", Weighted)

"""`round_robin`: everyone in turn, whatever its weight."""

import random
from collections.abc import Sequence
from typing import ClassVar

from gateway.pools.balancers.base import BALANCERS, Facts
from gateway.pools.balancers.common import Turns
from gateway.pools.target import Target


class RoundRobin:
    """Equal shares, one after the other."""

    spreads: ClassVar = True

    def __init__(self, targets: Sequence[Target], rng: random.Random) -> None:
        self._turns = Turns()

    def pick(self, candidates: Sequence[Target], facts: Facts) -> Target:
        return self._turns.next(candidates)


BALANCERS.register("round_robin", RoundRobin)

"""`round_robin`: every endpoint in turn, whatever its weight."""

import random
from collections.abc import Sequence
from typing import ClassVar

from gateway.pools.balancers.base import BALANCERS, RequestFacts
from gateway.pools.balancers.choice_rules import SmoothRoundRobin
from gateway.pools.target import Target


class RoundRobin:
    """Equal shares, one after the other."""

    supports_slow_start: ClassVar = True

    def __init__(self, targets: Sequence[Target], rng: random.Random) -> None:
        self._turns = SmoothRoundRobin()

    def pick(self, candidates: Sequence[Target], facts: RequestFacts) -> Target:
        return self._turns.next(candidates)


BALANCERS.register("round_robin", RoundRobin)

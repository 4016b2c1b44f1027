"""`least_inflight`: whoever has least to do, for its weight."""

import random
from collections.abc import Sequence
from typing import ClassVar

from gateway.pools.balancers.base import BALANCERS, Facts
from gateway.pools.balancers.common import Turns, least
from gateway.pools.target import Target


class LeastInflight:
    """Fewest running requests per weight; where several have as few, by turns, the heavier more often."""

    spreads: ClassVar = True

    def __init__(self, targets: Sequence[Target], rng: random.Random) -> None:
        self._turns = Turns(by_weight=True)

    def pick(self, candidates: Sequence[Target], facts: Facts) -> Target:
        return self._turns.next(least(candidates, load))


def load(target: Target) -> float:
    """Give how busy a target is: requests that run there, over its weight."""
    return target.endpoint.in_flight / target.weight


BALANCERS.register("least_inflight", LeastInflight)

"""`in_order`: the first eligible member in the order of the configuration; the others are standby."""

import random
from collections.abc import Sequence
from typing import ClassVar

from gateway.pools.balancers.base import BALANCERS, RequestFacts
from gateway.pools.balancers.choice_rules import SmoothRoundRobin
from gateway.pools.target import Target


class InOrder:
    """Several endpoints of that member (further keys or URLs) go round robin."""

    supports_slow_start: ClassVar = False

    def __init__(self, targets: Sequence[Target], rng: random.Random) -> None:
        self._turns = SmoothRoundRobin()

    def pick(self, candidates: Sequence[Target], facts: RequestFacts) -> Target:
        first = candidates[0].endpoint
        same = [
            target
            for target in candidates
            if target.endpoint.model == first.model and target.endpoint.provider == first.provider
        ]
        return self._turns.next(same)


BALANCERS.register("in_order", InOrder)

"""`least_inflight`: the endpoint with the fewest running requests for its weight."""

import random
from collections.abc import Sequence
from typing import ClassVar

from gateway.pools.balancers.base import BALANCERS, RequestFacts
from gateway.pools.balancers.choice_rules import SmoothRoundRobin, lowest_cost
from gateway.pools.target import Target


class LeastInflight:
    """Several that are equally busy go round robin by weight."""

    supports_slow_start: ClassVar = True

    def __init__(self, targets: Sequence[Target], rng: random.Random) -> None:
        self._turns = SmoothRoundRobin(by_weight=True)

    def pick(self, candidates: Sequence[Target], facts: RequestFacts) -> Target:
        return self._turns.next(lowest_cost(candidates, load))


def load(target: Target) -> float:
    """Return how busy a target is: running requests divided by its weight."""
    return target.endpoint.in_flight / target.weight


BALANCERS.register("least_inflight", LeastInflight)

"""Ways from many candidates to few."""

import random
from collections.abc import Callable, Sequence

from gateway.pools.target import Target


def least(candidates: Sequence[Target], cost: Callable[[Target], float]) -> Sequence[Target]:
    """Give those that cost least: one or more, in their order."""
    costs = [cost(target) for target in candidates]
    lowest = min(costs)
    if costs.count(lowest) == 1:
        return (candidates[costs.index(lowest)],)
    return [target for target, found in zip(candidates, costs, strict=True) if found == lowest]


def two_of(candidates: Sequence[Target], rng: random.Random) -> Sequence[Target]:
    """Give two of two or more, each pair in each order as likely as any other."""
    count = len(candidates)
    one = int(rng.random() * count)
    other = int(rng.random() * (count - 1))
    return candidates[one], candidates[other + (other >= one)]

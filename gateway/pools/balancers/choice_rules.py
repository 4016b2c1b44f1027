"""Choice rules that several strategies share: fair turns, the lowest cost, two at random."""

import random
from collections.abc import Callable, Sequence
from math import inf

from gateway.pools.endpoint import Endpoint
from gateway.pools.target import Target


class SmoothRoundRobin:
    """Smooth weighted round robin: fair turns, whichever candidates there are. With `by_weight`, shares follow the weights.

    At every pick each candidate earns its weight in credit; the one with the most credit is picked and pays what all have
    earned. With the same candidates the shares are exact after one cycle of all weights, and the picks of one endpoint are as
    far apart as they can be (the algorithm of nginx's upstream module).

    Credit is neither made nor lost. So with varying candidates each gets its share of the picks that it took part in; one that
    was away, or that slow start left out, has nothing to catch up on. That is the carpool problem of Fagin and Williams (1983),
    whose greedy schedule this is.
    """

    def __init__(self, *, by_weight: bool = False) -> None:
        self._by_weight = by_weight
        self._credits: dict[Endpoint, float] = {}

    def next(self, candidates: Sequence[Target]) -> Target:
        """Return the candidate whose turn it is; of equals the first."""
        best = candidates[0]
        if len(candidates) == 1:
            return best  # it would earn and pay the same
        credits, by_weight = self._credits, self._by_weight
        most, earned = -inf, 0.0
        for target in candidates:
            weight = target.weight if by_weight else 1.0
            earned += weight
            credit = credits[target.endpoint] = credits.get(target.endpoint, 0.0) + weight
            if credit > most:
                best, most = target, credit
        credits[best.endpoint] = most - earned
        return best


def lowest_cost(candidates: Sequence[Target], cost: Callable[[Target], float]) -> Sequence[Target]:
    """Return the candidates with the lowest cost: one or more, in their order."""
    costs = [cost(target) for target in candidates]
    lowest = min(costs)
    if costs.count(lowest) == 1:
        return (candidates[costs.index(lowest)],)
    return [target for target, found in zip(candidates, costs, strict=True) if found == lowest]


def draw_two(candidates: Sequence[Target], rng: random.Random) -> Sequence[Target]:
    """Return two of two or more candidates; each pair is as likely as any other, in either order."""
    count = len(candidates)
    one = int(rng.random() * count)
    other = int(rng.random() * (count - 1))
    return candidates[one], candidates[other + (other >= one)]

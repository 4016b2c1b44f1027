"""`ewma`: whoever is expected to give the first token soonest.

An endpoint costs the time to the first token that is expected of it, times the requests that would then run there, over
the share of its attempts that succeed. What is expected is a mean of

1. what was observed lately, weighted with the evidence that is left of it (`averages.py`): times to the first token for
   streams, to the answer for the rest; of an endpoint that has only seen the other kind, those;
2. of an endpoint that has seen nothing, the latency that the file declares, as one observation made when this balancer
   first met it;
3. `HOPED_S`, with the weight of a tenth of an observation: who is unknown looks quick.

So evidence that fades makes a slow endpoint look quicker until it is tried again, by one request: its being in flight
doubles the cost. Ten times slower than the others it is tried after two minutes, twice as slow after one.

Among many, two are drawn by lot and compared: otherwise all workers, which each have their own figures, go to the same one.
"""

import random
from collections.abc import Sequence
from math import exp
from typing import ClassVar, Final

from gateway.pools.averages import DECAY_S
from gateway.pools.balancers.base import BALANCERS, RequestFacts
from gateway.pools.balancers.common import SmoothRoundRobin, draw_two, lowest_cost
from gateway.pools.endpoint import Endpoint
from gateway.pools.target import Target

HOPED_S: Final = 0.05
DOUBT: Final = 0.1  # observations that the hope weighs as much as
MANY: Final = 4  # more candidates than this are not all compared


class Ewma:
    """Learns from the live endpoints; its own are only the moments since when it knows those that are untried."""

    supports_slow_start: ClassVar = True

    def __init__(self, targets: Sequence[Target], rng: random.Random) -> None:
        self._rng = rng
        self._turns = SmoothRoundRobin()
        self._met_at: dict[Endpoint, float] = {}

    def pick(self, candidates: Sequence[Target], facts: RequestFacts) -> Target:
        if len(candidates) > MANY:
            candidates = draw_two(candidates, self._rng)
        return self._turns.next(lowest_cost(candidates, lambda target: self._cost(target, facts)))

    def _cost(self, target: Target, facts: RequestFacts) -> float:
        endpoint = target.endpoint
        tried = endpoint.failures.evidence(facts.now)
        succeeding = 1.0 - endpoint.failures.value * tried / (tried + 1.0)  # never 0.0
        return self.expected_s(target, facts) * (endpoint.in_flight + 1) / succeeding

    def expected_s(self, target: Target, facts: RequestFacts) -> float:
        """Give the seconds that an idle `target` is expected to take."""
        endpoint, now = target.endpoint, facts.now
        observed, other = endpoint.answer_s, endpoint.first_token_s
        if facts.is_stream:
            observed, other = other, observed
        if not observed.weight:
            observed = other
        if observed.weight:
            value, weight = observed.value, observed.evidence(now)
        elif target.model.latency_s is not None:
            value, weight = target.model.latency_s, exp((self._met_at.setdefault(endpoint, now) - now) / DECAY_S)
        else:
            return HOPED_S
        return (value * weight + HOPED_S * DOUBT) / (weight + DOUBT)


BALANCERS.register("ewma", Ewma)

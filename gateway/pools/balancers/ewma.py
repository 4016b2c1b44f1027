"""`ewma`: the endpoint with the lowest expected time to the first token.

The cost of an endpoint is its expected time to the first token, times the requests that would then run there, divided by the
share of its attempts that succeed. The expected time is a weighted mean of

1. recent observations, weighted with their remaining evidence (`averages.py`): times to the first token for streams, times to
   the response otherwise. An endpoint that has seen only the other kind is judged by that;
2. for an endpoint without observations, the latency that the configuration declares, as one observation made when this
   balancer first saw the endpoint;
3. `PRIOR_S`, with the weight of a tenth of an observation: an unknown endpoint looks quick.

As its evidence fades, a slow endpoint looks quicker, until one request tries it again. One only: while it is in flight the
cost is doubled. An endpoint ten times slower than the others is tried after two minutes, one twice as slow after one minute.

With more than `MANY` candidates two are drawn at random and compared. Otherwise all workers, each with its own figures, would
send their requests to the same endpoint.
"""

import random
from collections.abc import Sequence
from math import exp
from typing import ClassVar, Final

from gateway.pools.averages import DECAY_S
from gateway.pools.balancers.base import BALANCERS, RequestFacts
from gateway.pools.balancers.choice_rules import SmoothRoundRobin, draw_two, lowest_cost
from gateway.pools.endpoint import Endpoint
from gateway.pools.target import Target

PRIOR_S: Final = 0.05
PRIOR_WEIGHT: Final = 0.1  # of `PRIOR_S`, in observations
MANY: Final = 4  # with more candidates only two are compared


class Ewma:
    """Learns from the live endpoints. Its own state: when it first saw each endpoint without observations."""

    supports_slow_start: ClassVar = True

    def __init__(self, targets: Sequence[Target], rng: random.Random) -> None:
        self._rng = rng
        self._turns = SmoothRoundRobin()
        self._first_seen_at: dict[Endpoint, float] = {}

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
        """Return the expected seconds to the first token of an idle `target`, or to its response."""
        endpoint, now = target.endpoint, facts.now
        observed, other = endpoint.answer_s, endpoint.first_token_s
        if facts.is_stream:
            observed, other = other, observed
        if not observed.weight:
            observed = other
        if observed.weight:
            value, weight = observed.value, observed.evidence(now)
        elif target.model.latency_s is not None:
            value, weight = target.model.latency_s, exp((self._first_seen_at.setdefault(endpoint, now) - now) / DECAY_S)
        else:
            return PRIOR_S
        return (value * weight + PRIOR_S * PRIOR_WEIGHT) / (weight + PRIOR_WEIGHT)


BALANCERS.register("ewma", Ewma)

"""`consistent_hash`: requests of one affinity go to the same endpoint, so that its prompt cache is warm.

Weighted rendezvous hashing (Thaler and Ravishankar 1998): a hash of the affinity and the endpoint gives each endpoint an
arrival time, exponentially distributed with its weight as the rate. The endpoint that arrives first wins. So each endpoint wins
the share of affinities that its weight says. If an endpoint is not available, only its own affinities move, each to the endpoint
that arrived second.

The choice depends on the configuration alone, so all workers and replicas of one configuration agree.
"""

import random
from collections.abc import Sequence
from hashlib import blake2b
from math import inf, log
from typing import ClassVar, Final

from gateway.pools.balancers.base import BALANCERS, RequestFacts
from gateway.pools.balancers.choice_rules import SmoothRoundRobin
from gateway.pools.endpoint import Endpoint
from gateway.pools.target import Target

BITS: Final = (1 << 64) - 1
SCALE: Final = 2.0**-64
MIX: Final = 0x9E3779B97F4A7C15  # 2^64 divided by the golden ratio: odd, its bits have no pattern


class ConsistentHash:
    """Requests without an affinity go round robin."""

    supports_slow_start: ClassVar = False

    def __init__(self, targets: Sequence[Target], rng: random.Random) -> None:
        self._turns = SmoothRoundRobin()
        self._seeds: dict[Endpoint, int] = {}

    def pick(self, candidates: Sequence[Target], facts: RequestFacts) -> Target:
        if not facts.affinity:
            return self._turns.next(candidates)
        seeds = self._seeds
        key = digest(facts.affinity)
        first, first_at = candidates[0], inf
        for target in candidates:
            seed = seeds.get(target.endpoint)
            if (
                seed is None
            ):  # computed here and not before: endpoints get their names when the configuration takes effect
                seed = seeds[target.endpoint] = digest(target.endpoint.hash_key or target.endpoint.id)
            mixed = ((key ^ seed) * MIX) & BITS
            mixed = ((mixed ^ (mixed >> 32)) * MIX) & BITS
            arrives_at = -log((mixed + 1) * SCALE) / target.weight
            if arrives_at < first_at:
                first, first_at = target, arrives_at
        return first


def digest(text: str) -> int:
    """Return 64 bits of a hash that is the same in every process, for any text, lone surrogates included."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


BALANCERS.register("consistent_hash", ConsistentHash)

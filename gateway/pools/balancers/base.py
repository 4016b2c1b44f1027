"""What a balancing strategy is: a choice among the targets of a pool that can be asked now."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from gateway.core.registry import Registry
from gateway.pools.target import Target


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What of a request a choice may depend on. `affinity`: what to keep together, "" where the strategy needs none."""

    now: float  # monotonic seconds
    is_stream: bool
    affinity: str = ""


class Balancer(Protocol):
    """One pool's strategy, with whatever state it keeps; made anew by a reload, as it learns from live endpoints.

    Synchronous and quick: it runs for every request. What it keeps is by endpoint, since who can be asked differs from
    call to call, and so may the target through which a route reaches an endpoint.
    """

    supports_slow_start: ClassVar[bool]
    """Whether requests are dealt out over the members, so that one that comes back can begin with a small share."""

    def __init__(self, targets: Sequence[Target], rng: random.Random) -> None: ...

    def pick(self, candidates: Sequence[Target], facts: RequestFacts) -> Target:
        """Give one of `candidates`: one or more that can be asked, of one priority, in the pool's order."""
        ...


BALANCERS: Final[Registry[type[Balancer]]] = Registry("balancing strategy")
"""Name in `balance:` to its class, which takes a pool's targets."""

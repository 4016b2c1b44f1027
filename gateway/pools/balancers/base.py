"""The interface of a balancing strategy: it picks one of a pool's eligible targets."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from gateway.core.registry import Registry
from gateway.pools.target import Target


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """The facts of a request that a choice may depend on. `affinity`: requests with the same one belong together; "" for none."""

    now: float  # monotonic seconds
    is_stream: bool
    affinity: str = ""


class Balancer(Protocol):
    """The strategy of one pool, with its own state. A reload makes a new one; what it learns is in the live endpoints.

    Synchronous and quick: it runs for every request. It keeps state by endpoint, not by target: the candidates differ from
    call to call, and so may the target through which a route reaches an endpoint.
    """

    supports_slow_start: ClassVar[bool]
    """Whether it spreads requests over all members, so that one that recovers can start with a small share."""

    def __init__(self, targets: Sequence[Target], rng: random.Random) -> None: ...

    def pick(self, candidates: Sequence[Target], facts: RequestFacts) -> Target:
        """Return one of `candidates`: one or more eligible targets of one priority, in the pool's order."""
        ...


BALANCERS: Final[Registry[type[Balancer]]] = Registry("balancing strategy")
"""From the name in `balance:` to the class of the strategy."""

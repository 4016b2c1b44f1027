"""One place to send to, and what has been learned of it."""

from dataclasses import dataclass
from typing import NewType

from gateway.config.spec import ModelSpec
from gateway.providers.base import Provider
from gateway.resilience.breaker import Breaker
from gateway.resilience.deadline import Clocks

EndpointId = NewType("EndpointId", str)


@dataclass(slots=True, eq=False)
class Endpoint:
    """A provider, a model, a URL and a key: the owner of the breaker. Live: it outlasts reloads that still name it."""

    id: EndpointId  # "openai/gpt-4o"
    provider: str
    model: str
    breaker: Breaker
    in_flight: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint as one route and pool reach it: with the clocks that hold there, and what need not be made anew."""

    endpoint: Endpoint
    provider: Provider
    model: ModelSpec
    clocks: Clocks
    request_head: bytes  # without the blank line


@dataclass(frozen=True, slots=True)
class Hop:
    """One pool on the way of a request: its targets in the order in which they are asked."""

    pool: str
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Path:
    """Where the requests of one route for one name go: hops in fallback order."""

    hops: tuple[Hop, ...]
    keepalive_s: float | None = None
    early_keepalive: bool = False

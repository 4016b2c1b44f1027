"""One place to send to, and what has been learned of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NewType

from gateway.config.spec import BatchSpec, HedgeSpec, ModelSpec, RetrySpec
from gateway.dialects.bridge import Bridge
from gateway.pools.averages import Average, Recent
from gateway.providers.base import Provider
from gateway.resilience.breaker import Breaker
from gateway.resilience.timeouts import Timeouts

if TYPE_CHECKING:
    from gateway.pools.balancers.base import Balancer
    from gateway.pools.state import PoolState

EndpointId = NewType("EndpointId", str)

NEVER = 0.0


@dataclass(slots=True, eq=False)
class Load:
    """What runs at one provider, over all its endpoints. Live."""

    in_flight: int = 0


@dataclass(slots=True, eq=False)
class Credential:
    """One key at one provider. Live. `is_refused`: the provider's last word; `refused_until`: out of rotation so long."""

    is_refused: bool = False
    refused_until: float = NEVER


@dataclass(slots=True, eq=False)
class Endpoint:
    """A provider, a model, a URL and a key: the owner of the breaker. Live: it outlasts reloads that still name it.

    Moments are monotonic seconds, 0.0 = never. Attempts write here and what their errors tell (`attempt`, `search`), and
    what takes endpoints out of rotation (`directory`, `rotation`).
    """

    id: EndpointId  # "openai/gpt-4o"; with further keys or URLs "openai/gpt-4o#2"
    provider: str
    model: str
    breaker: Breaker
    seed: str = ""  # stands for it in hashes: the same in every worker and after every reload that still names it
    load: Load = field(default_factory=Load)
    credential: Credential = field(default_factory=Credential)
    in_flight: int = 0
    rests_until: float = NEVER  # the provider asked for it (429), up to the cap
    told_until: float = NEVER  # what it asked for in full
    is_drained: bool = False  # by the operator: takes nothing new
    is_healthy: bool = True  # as active checks see it
    recovered_at: float = NEVER  # since when it takes requests again: the start of the ramp
    first_token_s: Average = field(default_factory=Average)  # of streams
    answer_s: Average = field(default_factory=Average)  # of unstreamed answers
    failures: Average = field(default_factory=Average)  # 0 or 1 for each attempt: its mean is the error rate
    recent_first_tokens_s: Recent = field(default_factory=Recent)
    recent_answers_s: Recent = field(default_factory=Recent)

    def is_in_rotation(self, now: float) -> bool:
        """Whether it may be asked but for its breaker and its room."""
        return (
            self.is_healthy and not self.is_drained and self.rests_until <= now and self.credential.refused_until <= now
        )


@dataclass(frozen=True, slots=True)
class DialectBinding:
    """How requests of one client dialect are put to a provider."""

    bridge: Bridge
    request_head: bytes  # without the blank line


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """An endpoint as one route and pool reach it: with the settings that hold there, and what need not be made anew."""

    endpoint: Endpoint
    provider: Provider
    model: ModelSpec
    timeouts: Timeouts
    bindings: Mapping[
        str, DialectBinding
    ]  # by the path that clients ask; what is not there can't be asked of the provider
    retry: RetrySpec
    drops_params: bool = False  # leave out what the provider's dialect can't say
    batch: BatchSpec | None = None  # gather small calls, where they can be one
    slow_start_s: float = 0.0
    weight: float = 1.0
    priority: int = 1  # lower numbers first
    max_inflight: int | None = None  # of the endpoint
    provider_max_inflight: int | None = None  # of the provider, over all its endpoints
    other_keys: tuple[Credential, ...] = ()  # of the provider

    @property
    def has_room(self) -> bool:
        """Whether one more request may run there now."""
        endpoint = self.endpoint
        return (self.max_inflight is None or endpoint.in_flight < self.max_inflight) and (
            self.provider_max_inflight is None or endpoint.load.in_flight < self.provider_max_inflight
        )


@dataclass(frozen=True, slots=True, eq=False)
class PoolStage:
    """One pool on the way of a request: its targets, who picks among them, and its live parts."""

    pool: str
    targets: tuple[Target, ...]  # by priority, then as the file has them
    balancer: "Balancer"
    state: "PoolState"
    is_limited: bool = False  # there is a bound to how many run
    is_sticky: bool = False
    affinity: str = ""  # what requests are kept together by: "", conversation, tenant or header:<name>
    hedge: HedgeSpec | None = None
    all_open: Literal["reject", "soonest"] = "reject"


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """Where the requests of one route for one name go: hops in fallback order."""

    stages: tuple[PoolStage, ...]
    keepalive_s: float | None = None
    early_keepalive: bool = False

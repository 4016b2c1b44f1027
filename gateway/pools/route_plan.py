"""Where the requests of one route go: pools in failover order, each with its targets. Compiled anew by every reload."""

from dataclasses import dataclass
from typing import Literal

from gateway.config.spec import HedgeSpec
from gateway.core.exchange import UNDECIDED, Decision
from gateway.pools.balancers.base import Balancer
from gateway.pools.directory import PoolState
from gateway.pools.target import Target


@dataclass(frozen=True, slots=True, eq=False)
class PoolStage:
    """One pool of a route: its targets, the balancer that picks among them, and its live state."""

    pool: str
    targets: tuple[Target, ...]  # by priority, then as the file has them
    balancer: Balancer
    state: PoolState
    is_limited: bool = False  # `state.limiter` bounds how many requests run
    is_sticky: bool = False
    affinity: str = ""  # the key that keeps requests together: "", conversation, tenant or header:<name>
    hedge: HedgeSpec | None = None
    all_open: Literal["reject", "soonest"] = "reject"


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """Where the requests of one route for one model name go: pools in failover order."""

    stages: tuple[PoolStage, ...]
    decision: Decision = UNDECIDED
    keepalive_s: float | None = None
    early_keepalive: bool = False

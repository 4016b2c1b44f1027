"""All wiring of a worker in two values: `Snapshot` is replaced by a reload, `Services` lives as long as the worker."""

import asyncio
import random
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.accounting.prices import Price
from gateway.admission.auth import Auth
from gateway.config.spec import BreakerSpec, QueueSpec, Spec
from gateway.core.clock import Clock
from gateway.core.errors import EventLoopLate, Overloaded, ShuttingDown
from gateway.core.exchange import Exchange
from gateway.core.offload import HeldBytes, Offload
from gateway.core.tasks import Tasks
from gateway.observability.lag import LoopLag
from gateway.observability.metrics import Metrics
from gateway.observability.report import Reporter
from gateway.pools.batches import Batches
from gateway.pools.directory import Directory
from gateway.pools.endpoint import Endpoint, EndpointId
from gateway.pools.managed_servers import ManagedServers, ServerState
from gateway.pools.rotation import EndpointRotation
from gateway.pools.route_plan import RoutePlan
from gateway.providers.transport import Transport
from gateway.routing.router import Match, Router


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """What a configuration says of a live endpoint."""

    id: EndpointId
    breaker: BreakerSpec | None


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """What a configuration says of a live pool: how many requests run in it at a time, and who may wait."""

    max_inflight: int | None
    queue: QueueSpec | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One configuration, compiled: everything that a request needs and that a reload changes. Immutable."""

    generation: int
    spec: Spec
    auth: Auth
    router: Router
    plans: Mapping[Match, RoutePlan]
    prices: Mapping[str, Price]  # by model
    endpoints: Mapping[Endpoint, EndpointSettings]
    pools: Mapping[str, PoolSettings]
    passthrough_plans: Mapping[str, RoutePlan] = field(default_factory=dict)  # by name of the route for paths
    certificates: tuple[ssl.SSLContext | None, ...] = ()  # by entry of `server.listen`


@dataclass(slots=True, eq=False)
class Services:
    """What outlives configurations: clocks, connections, live endpoints, counters. One per worker."""

    clock: Clock
    tasks: Tasks
    transport: Transport
    directory: Directory
    managed_servers: ManagedServers
    metrics: Metrics
    reporter: Reporter
    rng: random.Random = field(default_factory=random.Random)
    snapshot: Snapshot = field(init=False)  # unset until the first is activated
    rotation: EndpointRotation = field(init=False)
    batches: Batches = field(init=False)
    running: dict[Exchange, "asyncio.Task[object]"] = field(default_factory=dict)
    draining: bool = False  # `/ready` says no
    refusing: bool = False  # new requests are turned away
    offload: Offload = field(default_factory=Offload)
    bodies: HeldBytes = field(
        default_factory=HeldBytes
    )  # of requests that run; bodies that came with their head are not counted
    past_condition_errors: int = 0  # of the snapshots before this one
    lag: LoopLag | None = None  # once the worker's loop is watched

    def __post_init__(self) -> None:
        self.rotation = EndpointRotation(self.directory, self.clock, self.metrics)
        self.batches = Batches(self.tasks)

    @property
    def in_flight(self) -> int:
        """Requests that run."""
        return len(self.running)

    def check_capacity(self) -> None:
        """Raise `CapacityError` where no further request can be taken."""
        if self.refusing:
            raise ShuttingDown("the gateway is shutting down", retry_after_s=1.0)
        limits = self.snapshot.spec.server.limits
        if len(self.running) > limits.in_flight:
            raise Overloaded("too many requests at once", retry_after_s=1.0)
        if self.lag is not None and limits.loop_lag_s is not None and self.lag.is_late(limits.loop_lag_s):
            raise EventLoopLate("the gateway has no time for another request", retry_after_s=1.0)

    def child_changed(self, provider: str, state: ServerState) -> None:
        """Note the state of a managed server."""
        self.managed_servers.set_state(provider, state)

    def circuits(self) -> dict[str, str]:
        """Return each endpoint's breaker state: closed, open or half_open."""
        return {endpoint.id: endpoint.breaker.state.label for endpoint in self.snapshot.endpoints}

    def refuse_new(self) -> None:
        """Refuse requests that still come on open connections."""
        self.refusing = True

    def cut_running(self) -> None:
        """End running requests with an error, in-band where the response has begun."""
        for exchange, task in list(self.running.items()):
            exchange.cut = ShuttingDown("the gateway is shutting down")
            task.cancel()

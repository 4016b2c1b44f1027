"""From a `Spec` to what serves requests: the only place where parts are put together.

`compile_snapshot` runs in a thread beside a loop that serves, so it makes new things only; what is alive changes in
`activate`, on the loop, in one step.
"""

import sys
from collections.abc import Iterator, Mapping
from hashlib import sha256

from gateway.accounting.prices import Price
from gateway.admission.auth import Auth
from gateway.config.spec import BreakerSpec, KeepaliveSpec, ModelSpec, Policy, PoolSpec, Spec
from gateway.core.clock import Clock, SystemClock
from gateway.core.tasks import Tasks
from gateway.observability.metrics import Metrics, Value
from gateway.observability.report import Reporter
from gateway.observability.request_log import RequestLog
from gateway.pools.children import Children
from gateway.pools.directory import Directory
from gateway.pools.endpoint import Endpoint, Hop, Path, Target
from gateway.providers import load_kinds
from gateway.providers.base import KINDS, Provider
from gateway.providers.contexts import Contexts
from gateway.providers.transport import Transport
from gateway.resilience.deadline import merge
from gateway.routing.router import Match, Router
from gateway.runtime.certificates import context_of
from gateway.snapshot import Services, Snapshot

CHAT_PATH = "/v1/chat/completions"


def build_services(tasks: Tasks, clock: Clock | None = None, number: int = 1) -> Services:
    """Make what the worker of this number keeps for its life. Request lines go to its standard output."""
    clock = clock or SystemClock()
    metrics = Metrics()
    services = Services(
        clock=clock,
        tasks=tasks,
        transport=Transport(),
        directory=Directory(clock),
        children=Children(),
        metrics=metrics,
        reporter=Reporter(metrics, RequestLog(sys.stdout.fileno()), clock),
    )
    own_requests = metrics.worker_requests[str(number)]
    metrics.on_snapshot(lambda: _fill(services, own_requests))
    return services


def _fill(services: Services, own_requests: Value) -> None:
    """Fill in what is looked up for a snapshot of the metrics, so that the path of a request need not count it."""
    metrics = services.metrics
    own_requests.value = sum(cell.value for cell in metrics.requests.values())
    metrics.requests_in_flight.value = services.in_flight
    metrics.streams_in_flight.value = sum(
        1 for x in services.running if x.request is not None and x.request.stream and x.committed_at
    )
    metrics.upstream_surplus.value, metrics.upstream_stale.value = services.transport.counts
    metrics.condition_errors.value = services.past_condition_errors + services.snapshot.router.condition_errors
    metrics.set_breakers((e.id, e.provider, e.breaker.state) for e in services.snapshot.endpoints)


def compile_snapshot(spec: Spec, generation: int, addresses: Mapping[str, str], directory: Directory) -> Snapshot:
    """Compile a checked `Spec`; living endpoints are taken from `directory`, missing ones made there.

    `addresses` tells where the children listen (`unix:/path`), by provider. Safe in a thread.
    """
    compiler = _Compiler(spec, addresses, directory)
    router = Router(spec)
    paths = {match: compiler.path(match) for match in router.matches()}
    return Snapshot(
        generation=generation,
        spec=spec,
        auth=Auth(spec.tenants),
        router=router,
        paths=paths,
        prices={name: Price(model.price) for name, model in spec.models.items()},
        endpoints=compiler.endpoints,
        certificates=tuple(context_of(one) for one in spec.server.listen),
    )


def activate(services: Services, snapshot: Snapshot) -> None:
    """Let `snapshot` serve from the next request on; endpoints that it does not name are let go. On the loop only."""
    if hasattr(services, "snapshot"):
        services.past_condition_errors += services.snapshot.router.condition_errors
    services.snapshot = snapshot
    for endpoint, breaker in snapshot.endpoints.items():
        endpoint.breaker.reconfigure(breaker)
    services.directory.retain(snapshot.endpoints)
    services.standing.follow(snapshot.endpoints)
    services.children.retain(set(snapshot.spec.providers))
    services.transport.retain({t.provider.origin for p in snapshot.paths.values() for h in p.hops for t in h.targets})
    services.metrics.configure(
        models=snapshot.spec.models,
        endpoints=[endpoint.id for endpoint in snapshot.endpoints],
        pools=snapshot.spec.pools,
    )
    services.metrics.config_generation.value = snapshot.generation
    services.reporter.use_format(snapshot.spec.log.format)


class _Compiler:
    """Makes the paths of one configuration."""

    def __init__(self, spec: Spec, addresses: Mapping[str, str], directory: Directory) -> None:
        load_kinds()
        self._spec = spec
        self._directory = directory
        self._routes = {route.name: route for route in spec.routes}
        self._addresses = addresses
        contexts = Contexts()
        self._providers: dict[str, Provider] = {
            name: KINDS[provider.kind](provider, addresses.get(name, ""), contexts)
            for name, provider in spec.providers.items()
            if provider.is_on
        }
        self.endpoints: dict[Endpoint, BreakerSpec | None] = {}

    def path(self, match: Match) -> Path:
        """Give where the requests of one route for one goal go: the goal, then what stands behind it."""
        policy = self._routes[match.route].policy
        hops = tuple(_once(self._hops(match, policy)))
        first = hops[0] if hops else None  # comments may have to be sent before it is known who answers
        keepalive = _keepalive(self._levels(first.targets[0].model, first.pool, policy)) if first else None
        return Path(
            hops=hops,
            keepalive_s=None if keepalive is None else keepalive.every_s,
            early_keepalive=keepalive is not None and keepalive.early,
        )

    def _pool_of(self, goal: str) -> PoolSpec | None:
        """Give the pool that a goal names, or the first that lists it as a member."""
        pools = self._spec.pools
        return pools.get(goal) or next((pool for pool in pools.values() if goal in pool.members), None)

    def _hops(self, match: Match, policy: Policy) -> Iterator[Hop]:
        spec, pool, goal = self._spec, self._pool_of(match.goal), match.goal
        if pool is None:
            yield Hop(goal, self._targets([goal], goal, policy))
            return
        members = list(pool.members)
        if goal != pool.name:  # the model asked for comes first, its pool-mates only stand in
            members = [goal, *(member for member in members if member != goal)]
        yield Hop(pool.name, self._targets(members, pool.name, policy))
        then = pool.then
        while then is not None:
            following = spec.pools.get(then)
            members = [then] if following is None else list(following.members)
            yield Hop(then, self._targets(members, then, policy))
            then = following.then if following is not None else None

    def _targets(self, members: list[str], pool: str, policy: Policy) -> tuple[Target, ...]:
        return tuple(
            self._target(member, pool, policy)
            for member in members
            if self._spec.models[member].provider in self._providers
        )

    def _levels(self, model: ModelSpec, pool: str, policy: Policy) -> list[Policy]:
        """Give the settings that hold for a model in a pool (or on its own), the most general first."""
        spec = self._spec
        pools = [spec.pools[pool].policy] if pool in spec.pools else []
        return [spec.defaults, spec.providers[model.provider].policy, model.policy, *pools, policy]

    def _target(self, name: str, pool: str, policy: Policy) -> Target:
        model = self._spec.models[name]
        spec = self._spec.providers[model.provider]
        provider = self._providers[model.provider]
        levels = self._levels(model, pool, policy)
        breaker = _breaker(levels)
        key = sha256(spec.key.value.encode()).hexdigest() if spec.key else ""
        address = self._addresses.get(model.provider) or spec.url
        identity = (spec.name, name, model.id, address, key, provider.origin.way)
        endpoint = self._directory.get(identity, spec.name, name, breaker)
        self.endpoints[endpoint] = breaker
        return Target(
            endpoint=endpoint,
            provider=provider,
            model=model,
            clocks=merge(*(level.timeout for level in levels)),
            request_head=provider.request_head(CHAT_PATH),
        )


def _once(hops: Iterator[Hop]) -> Iterator[Hop]:
    """Give the hops with each endpoint where it comes first only: one that has failed is not asked again."""
    seen: set[Endpoint] = set()
    for hop in hops:
        targets = tuple(target for target in hop.targets if target.endpoint not in seen)
        seen.update(target.endpoint for target in targets)
        if targets:
            yield Hop(hop.pool, targets)


def _breaker(levels: list[Policy]) -> BreakerSpec | None:
    return next((level.breaker for level in reversed(levels) if "breaker" in level.given), None)


def _keepalive(levels: list[Policy]) -> KeepaliveSpec | None:
    return next((level.keepalive for level in reversed(levels) if "keepalive" in level.given), None)

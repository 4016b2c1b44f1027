"""From a `Spec` to what serves requests: the only place where parts are put together.

`compile_snapshot` runs in a thread beside a loop that serves, so it makes new things only; what is alive changes in
`activate`, on the loop, in one step.
"""

import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from gateway.accounting.prices import Price
from gateway.admission.auth import Auth
from gateway.config.spec import BreakerSpec, MemberSpec, ModelSpec, PathRouteSpec, Policy, PoolSpec, ProviderSpec, Spec
from gateway.core.clock import Clock, SystemClock
from gateway.core.tasks import Tasks
from gateway.dialects import BY_NAME, BY_PATH
from gateway.dialects.bridge import bridge, can_translate
from gateway.observability.metrics import Metrics, Value
from gateway.observability.report import Reporter
from gateway.observability.request_log import RequestLog
from gateway.pools.balancers.base import BALANCERS
from gateway.pools.children import Children
from gateway.pools.directory import Directory
from gateway.pools.endpoint import Endpoint, EndpointId, Hop, Path, Target, Way
from gateway.providers import load_kinds
from gateway.providers.base import KINDS, Provider
from gateway.providers.contexts import Contexts
from gateway.providers.transport import Transport
from gateway.resilience.policies import NO_RETRY, Policies, merge
from gateway.routing.router import Match, Router
from gateway.runtime.certificates import context_of
from gateway.runtime.cpus import worker_count
from gateway.runtime.nameless import NAMELESS, NO_MODEL, nameless, to_any_path
from gateway.snapshot import EndpointSettings, PoolSettings, Services, Snapshot


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
    for name in services.snapshot.pools:
        gate = services.directory.pool(name).gate
        metrics.pool_in_flight[name].value = gate.in_flight
        metrics.pool_waiting[name].value = gate.waiting
        for reason, count in gate.refusals.items():
            metrics.pool_refusals[name, reason].value = count


def compile_snapshot(spec: Spec, generation: int, addresses: Mapping[str, str], directory: Directory) -> Snapshot:
    """Compile a checked `Spec`; what is alive is taken from `directory`, or made there.

    `addresses` tells where the children listen (`unix:/path`), by provider. Safe in a thread.
    """
    compiler = _Compiler(spec, addresses, directory)
    router = Router(spec)
    paths = {match: compiler.path(match) for match in router.matches()}
    pass_paths = {route.name: compiler.pass_path(route) for route in spec.path_routes}
    return Snapshot(
        generation=generation,
        spec=spec,
        auth=Auth(spec.tenants),
        router=router,
        paths=paths,
        prices={name: Price(model.price) for name, model in spec.models.items()},
        endpoints=compiler.endpoints,
        pools=compiler.pools,
        pass_paths=pass_paths,
        certificates=tuple(context_of(one) for one in spec.server.listen),
    )


def activate(services: Services, snapshot: Snapshot) -> None:
    """Let `snapshot` serve from the next request on; what it does not name is let go. On the loop only."""
    if hasattr(services, "snapshot"):
        services.past_condition_errors += services.snapshot.router.condition_errors
    services.snapshot = snapshot
    for endpoint, settings in snapshot.endpoints.items():
        endpoint.id = settings.id
        endpoint.breaker.reconfigure(settings.breaker)
    for name, pool in snapshot.pools.items():
        gate = services.directory.pool(name).gate
        gate.configure(pool.max_inflight, pool.queue)
        gate.on_wait = services.metrics.queue_s[name].observe
    services.directory.retain(snapshot.endpoints, snapshot.pools)
    services.standing.follow(snapshot.endpoints)
    services.children.retain(set(snapshot.spec.providers))
    paths = (*snapshot.paths.values(), *snapshot.pass_paths.values())
    services.transport.retain({t.provider.origin for p in paths for h in p.hops for t in h.targets})
    services.metrics.configure(
        models=snapshot.spec.models,
        endpoints=[endpoint.id for endpoint in snapshot.endpoints],
        pools=snapshot.spec.pools,
    )
    services.metrics.config_generation.value = snapshot.generation
    services.reporter.use_format(snapshot.spec.log.format)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one provider can be reached with one key."""

    spec: ProviderSpec  # with this URL and key alone
    provider: Provider
    ways: Mapping[str, Way]
    key: str  # its hash, "" for none
    address: str


class _Compiler:
    """Makes the paths of one configuration."""

    def __init__(self, spec: Spec, addresses: Mapping[str, str], directory: Directory) -> None:
        load_kinds()
        self._spec = spec
        self._directory = directory
        self._routes = {route.name: route for route in spec.routes}
        self._models = {**spec.models, **{NAMELESS + name: nameless(name) for name in spec.providers}}
        self._addresses = addresses
        self._contexts = Contexts()
        self._workers = worker_count(spec.server.workers)
        self._rng = random.Random()
        self._places = {name: self._places_of(one) for name, one in spec.providers.items() if one.is_on}
        self.endpoints: dict[Endpoint, EndpointSettings] = {}
        self.pools: dict[str, PoolSettings] = {}

    def path(self, match: Match) -> Path:
        """Give where the requests of one route for one goal go: the goal, then what stands behind it."""
        policy = self._routes[match.route].policy
        hops = tuple(_once(self._hops(match, policy)))
        # Comments may have to be sent before it is known who answers.
        keepalive = self._policies(hops[0].targets[0].model, hops[0].pool, policy).keepalive if hops else None
        return Path(
            hops=hops,
            keepalive_s=None if keepalive is None else keepalive.every_s,
            early_keepalive=keepalive is not None and keepalive.early,
        )

    def pass_path(self, route: PathRouteSpec) -> Path:
        """Give where the requests of a route for paths go: one provider, whatever is asked."""
        hops = self._hop(f"{route.provider}/{NO_MODEL}", [MemberSpec(NAMELESS + route.provider)], route.policy)
        return Path(tuple(to_any_path(hop) for hop in hops))

    # Pools

    def _pool_of(self, goal: str) -> PoolSpec | None:
        """Give the pool that a goal names, or the first that lists it as a member."""
        pools = self._spec.pools
        return pools.get(goal) or next((pool for pool in pools.values() if goal in _names(pool)), None)

    def _hops(self, match: Match, policy: Policy) -> Iterator[Hop]:
        pool, goal = self._pool_of(match.goal), match.goal
        if pool is None:
            yield from self._hop(goal, [MemberSpec(goal)], policy)
            return
        members = list(pool.members)
        if goal != pool.name:  # the model asked for comes first, its pool-mates only stand in
            first = min(member.priority for member in members) - 1
            members = [replace(one, priority=first) if one.model == goal else one for one in members]
        yield from self._hop(pool.name, members, policy)
        then = pool.then
        while then is not None:
            following = self._spec.pools.get(then)
            yield from self._hop(then, [MemberSpec(then)] if following is None else list(following.members), policy)
            then = following.then if following is not None else None

    def _hop(self, pool: str, members: list[MemberSpec], policy: Policy) -> Iterator[Hop]:
        """Give a pool's hop, where anybody in it can be asked at all."""
        targets = [target for member in members for target in self._targets(member, pool, policy)]
        if not targets:
            return
        targets.sort(key=lambda target: target.priority)
        policies = self._pool_policies(pool, policy)
        max_inflight = _least(self._share(policies.max_inflight), _room(targets))
        self.pools.setdefault(pool, PoolSettings(max_inflight, policies.queue))
        yield Hop(
            pool=pool,
            targets=tuple(targets),
            balancer=BALANCERS[policies.balance](targets, self._rng),
            state=self._directory.pool(pool),
            is_gated=max_inflight is not None,
            is_sticky=policies.sticky is not None,
            affinity=policies.hash_by if policies.balance == "consistent_hash" else policies.sticky or "",
            hedge=policies.hedge if len(targets) > 1 else None,
            all_open=policies.all_open,
        )

    # Endpoints

    def _targets(self, member: MemberSpec, pool: str, policy: Policy) -> Iterator[Target]:
        """Give a member's endpoints: its model at each URL of its provider, with each key."""
        model = self._models[member.model]
        places = self._places.get(model.provider, ())
        policies = self._policies(model, pool, policy)
        breaker = self._breaker(model)
        provider_max = self._share(self._spec.providers[model.provider].max_inflight)
        spreads = BALANCERS[self._pool_policies(pool, policy).balance].spreads
        for number, place in enumerate(places, 1):
            identity = (place.spec.name, model.name, model.id, place.address, place.key, place.provider.origin.way)
            endpoint = self._directory.get(identity, place.spec.name, model.name, place.key, breaker)
            suffix = f"#{number}" if number > 1 else ""
            id = EndpointId(f"{place.spec.name}/{model.name}{suffix}")
            self.endpoints[endpoint] = EndpointSettings(id, breaker)
            others = {other.key for other in places} - {place.key}
            yield Target(
                endpoint=endpoint,
                provider=place.provider,
                model=model,
                clocks=policies.clocks,
                ways=_ways(place.provider, model.id) if place.provider.has_places else place.ways,
                retry=policies.retry or NO_RETRY,
                drops_params=policies.drop_params,
                batch=policies.batch,
                slow_start_s=breaker.slow_start_s if breaker is not None and spreads else 0.0,
                weight=member.weight / len(places),
                priority=member.priority,
                max_inflight=_least(self._share(member.max_inflight), self._share(model.max_inflight)),
                provider_max_inflight=provider_max,
                other_keys=tuple(self._directory.credential(place.spec.name, key) for key in sorted(others)),
            )

    def _places_of(self, spec: ProviderSpec) -> tuple[_Place, ...]:
        """Give each of a provider's URLs with each of its keys."""
        address = self._addresses.get(spec.name, "")
        places = []
        for url in spec.urls or (spec.url,):
            for key in spec.keys or (spec.key,):
                one = replace(spec, url=url, urls=(), key=key, keys=())
                provider = KINDS[spec.kind](one, address, self._contexts)
                hashed = sha256(key.value.encode()).hexdigest() if key else ""
                places.append(_Place(one, provider, _ways(provider), hashed, address or url))
        return tuple(places)

    # Settings

    def _levels(self, model: ModelSpec, pool: str) -> list[Policy]:
        """Give the settings that hold for a model in a pool (or on its own), the most general first."""
        spec = self._spec
        pools = [spec.pools[pool].policy] if pool in spec.pools else []
        return [spec.defaults, spec.providers[model.provider].policy, model.policy, *pools]

    def _policies(self, model: ModelSpec, pool: str, route: Policy) -> Policies:
        return merge(*self._levels(model, pool), route)

    def _pool_policies(self, pool: str, route: Policy) -> Policies:
        """Give what holds for a pool as a whole; providers and models have no say in that."""
        pools = [self._spec.pools[pool].policy] if pool in self._spec.pools else []
        return merge(self._spec.defaults, *pools, route)

    def _breaker(self, model: ModelSpec) -> BreakerSpec | None:
        """Give the breaker settings of a model's endpoints: those of the pool that says something of them, if any."""
        listing = (pool for pool in self._spec.pools.values() if model.name in _names(pool))
        pool = next((pool.name for pool in listing if "breaker" in pool.policy.given), "")
        return merge(*self._levels(model, pool)).breaker

    def _share(self, limit: int | None) -> int | None:
        """Give this worker's part of a limit for all of them, 1 at least."""
        return None if limit is None else -(-limit // self._workers)


def _ways(provider: Provider, model_id: str = "") -> dict[str, Way]:
    """Give how requests of each client dialect are put to a provider: as they are where it speaks it, else translated.

    `model_id`: of the model that they are for, where the provider has a place for each.
    """
    spoken = [BY_NAME[name] for name in provider.dialects if name in BY_NAME]
    ways = {}
    for path, client in BY_PATH.items():
        able = [client] if client in spoken else [one for one in spoken if can_translate(client, one)]
        if able:
            ways[path] = Way(bridge(client, able[0]), provider.request_head(able[0].PATH, model_id))
    return ways


def _names(pool: PoolSpec) -> tuple[str, ...]:
    return tuple(member.model for member in pool.members)


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _room(targets: Sequence[Target]) -> int | None:
    """Give how many requests can run at these targets together; None for any number."""
    providers: dict[str, list[Target]] = {}
    for target in targets:
        providers.setdefault(target.endpoint.provider, []).append(target)
    room = 0
    for members in providers.values():
        alone = [target.max_inflight for target in members]
        together = None if None in alone else sum(limit for limit in alone if limit is not None)
        limit = _least(together, members[0].provider_max_inflight)
        if limit is None:
            return None
        room += limit
    return room


def _once(hops: Iterator[Hop]) -> Iterator[Hop]:
    """Give the hops with each endpoint where it comes first only: a pool behind has to offer somebody else."""
    seen: set[Endpoint] = set()
    for hop in hops:
        targets = tuple(target for target in hop.targets if target.endpoint not in seen)
        seen.update(target.endpoint for target in targets)
        if targets:
            yield replace(hop, targets=targets) if len(targets) < len(hop.targets) else hop

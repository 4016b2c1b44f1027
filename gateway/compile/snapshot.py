"""From a `Spec` to what serves requests: the only place where parts are put together.

Its steps stand in files of their own: whose settings hold (`settings.py`), the endpoints (`targets.py`), who is asked and who
stands behind (`paths.py`).

`compile_snapshot` runs in a thread beside a loop that serves, so it makes new things only; what is alive changes in
`activate`, on the loop, in one step.
"""

import sys
from collections.abc import Mapping

from gateway.accounting.prices import Price
from gateway.admission.auth import Auth
from gateway.compile.certificates import context_of
from gateway.compile.policies import EffectivePolicies
from gateway.compile.route_plans import RoutePlans
from gateway.compile.targets import Targets
from gateway.config.spec import Spec
from gateway.core.clock import Clock, SystemClock
from gateway.core.tasks import Tasks
from gateway.observability.metrics import Metrics, Value
from gateway.observability.report import Reporter
from gateway.observability.request_log import RequestLog
from gateway.pools.directory import Directory
from gateway.pools.managed_servers import ManagedServers
from gateway.providers.transport import Transport
from gateway.routing.router import Router
from gateway.snapshot import Services, Snapshot


def build_services(tasks: Tasks, clock: Clock | None = None, number: int = 1) -> Services:
    """Make what the worker of this number keeps for its life. Request lines go to its standard output."""
    clock = clock or SystemClock()
    metrics = Metrics()
    services = Services(
        clock=clock,
        tasks=tasks,
        transport=Transport(),
        directory=Directory(clock),
        managed_servers=ManagedServers(),
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
        1 for x in services.running if x.request is not None and x.request.stream and x.timeline.committed_at
    )
    metrics.upstream_surplus.value, metrics.upstream_stale.value = services.transport.counts
    metrics.condition_errors.value = services.past_condition_errors + services.snapshot.router.condition_errors
    metrics.set_breakers((e.id, e.provider, e.breaker.state) for e in services.snapshot.endpoints)
    for name in services.snapshot.pools:
        limiter = services.directory.pool(name).limiter
        metrics.pool_in_flight[name].value = limiter.in_flight
        metrics.pool_waiting[name].value = limiter.waiting
        for reason, count in limiter.refusals.items():
            metrics.pool_refusals[name, reason].value = count


def compile_snapshot(spec: Spec, generation: int, addresses: Mapping[str, str], directory: Directory) -> Snapshot:
    """Compile a checked `Spec`; what is alive is taken from `directory`, or made there.

    `addresses` tells where the children listen (`unix:/path`), by provider. Safe in a thread.
    """
    settings = EffectivePolicies(spec)
    targets = Targets(spec, settings, addresses, directory)
    plans = RoutePlans(spec, settings, targets, directory)
    router = Router(spec)
    return Snapshot(
        generation=generation,
        spec=spec,
        auth=Auth(spec.tenants),
        router=router,
        plans={match: plans.of(match) for match in router.matches()},
        prices={name: Price(model.price) for name, model in spec.models.items()},
        endpoints=targets.endpoints,
        pools=plans.pools,
        passthrough_plans={route.name: plans.of_path_route(route) for route in spec.path_routes},
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
        limiter = services.directory.pool(name).limiter
        limiter.configure(pool.max_inflight, pool.queue)
        limiter.on_wait = services.metrics.queue_s[name].observe
    services.directory.retain(snapshot.endpoints, snapshot.pools)
    services.rotation.follow(snapshot.endpoints)
    services.managed_servers.retain(set(snapshot.spec.providers))
    plans = (*snapshot.plans.values(), *snapshot.passthrough_plans.values())
    services.transport.retain({t.provider.origin for p in plans for h in p.stages for t in h.targets})
    services.metrics.configure(
        models=snapshot.spec.models,
        endpoints=[endpoint.id for endpoint in snapshot.endpoints],
        pools=snapshot.spec.pools,
    )
    services.metrics.config_generation.value = snapshot.generation
    services.reporter.use_format(snapshot.spec.log.format)

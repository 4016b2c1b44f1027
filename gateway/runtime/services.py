"""The services of a worker: made once, moved from one snapshot to the next."""

from typing import Final

from gateway.core.clock import Clock, SystemClock
from gateway.core.tasks import Tasks
from gateway.observability.metrics import Metrics, Value
from gateway.observability.report import Reporter
from gateway.observability.request_log import RequestLog
from gateway.pools.directory import Directory
from gateway.pools.managed_servers import ManagedServers
from gateway.providers.transport import Transport
from gateway.snapshot import Services, Snapshot

STDOUT: Final = 1


def build_services(tasks: Tasks, clock: Clock | None = None, number: int = 1) -> Services:
    """Make the services of the worker with this number. Request lines go to its standard output."""
    clock = clock or SystemClock()
    metrics = Metrics()
    services = Services(
        clock=clock,
        tasks=tasks,
        transport=Transport(),
        directory=Directory(clock),
        managed_servers=ManagedServers(),
        metrics=metrics,
        reporter=Reporter(metrics, RequestLog(STDOUT), clock),
    )
    own_requests = metrics.worker_requests[str(number)]
    metrics.on_snapshot(lambda: _fill_gauges(services, own_requests))
    return services


def activate(services: Services, snapshot: Snapshot) -> None:
    """Serve new requests from `snapshot`, and drop live objects that it does not name. On the loop only."""
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
    services.rotation.track(snapshot.endpoints)
    services.managed_servers.retain(set(snapshot.spec.providers))
    paths = (*snapshot.plans.values(), *snapshot.passthrough_plans.values())
    services.transport.retain({t.provider.origin for p in paths for h in p.stages for t in h.targets})
    services.metrics.configure(
        models=snapshot.spec.models,
        endpoints=[endpoint.id for endpoint in snapshot.endpoints],
        pools=snapshot.spec.pools,
    )
    services.metrics.config_generation.value = snapshot.generation
    services.reporter.use_format(snapshot.spec.log.format_on(STDOUT))


def _fill_gauges(services: Services, own_requests: Value) -> None:
    """Set the gauges that are read once for a snapshot of the metrics, so that no request has to count for them."""
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

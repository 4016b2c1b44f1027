"""The status of a worker's endpoints and pools, for control."""

from gateway.pools.averages import Average
from gateway.pools.endpoint import Endpoint
from gateway.runtime.messages import EndpointStatus, Mean, PoolStatus
from gateway.snapshot import Services


def endpoint_status(services: Services) -> tuple[EndpointStatus, ...]:
    """Return the status of all endpoints of the configuration in force."""
    now = services.clock.monotonic()
    pools: dict[Endpoint, dict[str, None]] = {}
    for path in services.snapshot.plans.values():
        for stage in path.stages:
            if stage.pool in services.snapshot.spec.pools:
                for target in stage.targets:
                    pools.setdefault(target.endpoint, {})[stage.pool] = None
    return tuple(
        EndpointStatus(
            endpoint=endpoint.id,
            provider=endpoint.provider,
            model=endpoint.model,
            pools=tuple(pools.get(endpoint, ())),
            state=endpoint.breaker.state.label,
            retry_in_s=endpoint.breaker.retry_in_s(),
            in_flight=endpoint.in_flight,
            first_token_s=_mean(endpoint.first_token_s, now),
            answer_s=_mean(endpoint.answer_s, now),
            error_rate=_mean(endpoint.failures, now),
            is_drained=endpoint.is_drained,
            is_healthy=endpoint.is_healthy,
            key_refused=endpoint.credential.is_refused,
            resting_s=max(0.0, endpoint.resting_until - now),
        )
        for endpoint in services.rotation.endpoints
    )


def pool_status(services: Services) -> tuple[PoolStatus, ...]:
    """Return the status of the pools that a route leads to; `in_flight` is counted only in pools with a limit."""
    statuses = []
    for name, settings in services.snapshot.pools.items():
        if name in services.snapshot.spec.pools:
            limiter = services.directory.pool(name).limiter
            statuses.append(PoolStatus(name, limiter.in_flight, limiter.waiting, settings.max_inflight))
    return tuple(statuses)


def _mean(average: Average, now: float) -> Mean:
    return Mean(average.value, average.evidence(now))

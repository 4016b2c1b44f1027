"""What a worker says of its endpoints and pools when control asks."""

from gateway.pools.averages import Average
from gateway.pools.endpoint import Endpoint
from gateway.runtime.bus import EndpointFigures, Mean, PoolFigures
from gateway.snapshot import Services


def endpoint_figures(services: Services) -> tuple[EndpointFigures, ...]:
    """Give all endpoints of the configuration in force, as they stand now."""
    now = services.clock.monotonic()
    pools: dict[Endpoint, dict[str, None]] = {}
    for path in services.snapshot.plans.values():
        for stage in path.stages:
            if stage.pool in services.snapshot.spec.pools:
                for target in stage.targets:
                    pools.setdefault(target.endpoint, {})[stage.pool] = None
    return tuple(
        EndpointFigures(
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
            resting_s=max(0.0, endpoint.rests_until - now),
        )
        for endpoint in services.rotation.endpoints
    )


def pool_figures(services: Services) -> tuple[PoolFigures, ...]:
    """Give the pools of the configuration in force that a route leads to; without a limit nobody counts what runs."""
    found = []
    for name, settings in services.snapshot.pools.items():
        if name in services.snapshot.spec.pools:
            limiter = services.directory.pool(name).limiter
            found.append(PoolFigures(name, limiter.in_flight, limiter.waiting, settings.max_inflight))
    return tuple(found)


def _mean(average: Average, now: float) -> Mean:
    return Mean(average.value, average.evidence(now))

"""Merge what all workers report about their endpoints and pools."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gateway.runtime.messages import Endpoints, EndpointStatus, Mean, PoolStatus

SEVERITY: Final = ("closed", "half_open", "open")

Counts = Mapping[tuple[str, ...], Sequence[int | float]]  # (endpoint, outcome) → the counts of attempts


def unique_endpoints(answers: Iterable[Endpoints]) -> list[EndpointStatus]:
    """Return each endpoint once, with the status of the first worker that knows it."""
    found: dict[str, EndpointStatus] = {}
    for answer in answers:
        for one in answer.endpoints:
            found.setdefault(one.endpoint, one)
    return list(found.values())


def merge_endpoints(answers: Sequence[Endpoints], attempts: Counts) -> dict[str, Any]:
    """Return the document of `/admin/endpoints`: the worst state, summed counts, means weighted by their evidence."""
    by_endpoint: dict[str, list[EndpointStatus]] = {}
    by_pool: dict[str, list[PoolStatus]] = {}
    for answer in answers:
        for one in answer.endpoints:
            by_endpoint.setdefault(one.endpoint, []).append(one)
        for pool in answer.pools:
            by_pool.setdefault(pool.pool, []).append(pool)
    return {
        "endpoints": [_endpoint(parts, attempts) for parts in by_endpoint.values()],
        "pools": [_pool(parts) for parts in by_pool.values()],
    }


def _endpoint(parts: Sequence[EndpointStatus], attempts: Counts) -> dict[str, Any]:
    first = parts[0]
    counts = {outcome: _count(attempts, first.endpoint, outcome) for outcome in ("ok", "failed", "abandoned")}
    return {
        "endpoint": first.endpoint,
        "provider": first.provider,
        "model": first.model,
        "pools": list(first.pools),
        "state": max((one.state for one in parts), key=SEVERITY.index),
        "retry_in_s": round(max(one.retry_in_s for one in parts), 3),
        "in_flight": sum(one.in_flight for one in parts),
        "first_token_s": _mean([one.first_token_s for one in parts]),
        "answer_s": _mean([one.answer_s for one in parts]),
        "error_rate": _mean([one.error_rate for one in parts]),
        "attempts": sum(counts.values()),
        "failures": counts["failed"],
        "is_drained": any(one.is_drained for one in parts),
        "is_healthy": all(one.is_healthy for one in parts),
        "key_refused": any(one.key_refused for one in parts),
        "resting_s": round(max(one.resting_s for one in parts), 3),
    }


def _pool(parts: Sequence[PoolStatus]) -> dict[str, Any]:
    limits = [one.max_inflight for one in parts]
    return {
        "pool": parts[0].pool,
        "in_flight": sum(one.in_flight for one in parts),
        "waiting": sum(one.waiting for one in parts),
        "max_inflight": None if None in limits else sum(limit for limit in limits if limit is not None),
    }


def _count(attempts: Counts, endpoint: str, outcome: str) -> int:
    return int(sum(attempts.get((endpoint, outcome), ())))


def _mean(parts: Sequence[Mean]) -> float | None:
    """Return the mean over all observations; None without any."""
    evidence = sum(one.evidence for one in parts)
    return round(sum(one.value * one.evidence for one in parts) / evidence, 4) if evidence else None

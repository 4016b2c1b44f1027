"""`gateway explain`: where a request would be sent, without sending it."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from gateway import dialects
from gateway.compile.policies import EffectivePolicies
from gateway.compile.snapshot import compile_snapshot
from gateway.config.load import Loaded
from gateway.config.spec import Policy, Spec
from gateway.core.clock import Clock, SystemClock
from gateway.core.errors import GatewayError
from gateway.core.exchange import ANYBODY, Principal
from gateway.pools.balancers.base import BALANCERS
from gateway.pools.directory import Directory
from gateway.pools.route_plan import PoolStage, RoutePlan
from gateway.pools.target import Target
from gateway.routing.router import Match


def explain(loaded: Loaded, body: bytes, tenant: str = "", clock: Clock | None = None) -> dict[str, Any]:
    """Route the request `body` under `loaded`, as `tenant` would send it now.

    Return `route` and `goal`; `pools`, in the order of failover, each with how its balancer chooses; the `endpoints` by
    pool, as listed, with their timeouts; the models that are `off` because their provider is; and the `facts` that
    conditions saw. Return `error` where the request would be refused.
    """
    spec, clock = loaded.spec, clock or SystemClock()
    snapshot = compile_snapshot(spec, 0, {}, Directory(clock), workers=1)
    found = spec.tenants.get(tenant)
    principal = ANYBODY if found is None else Principal(found.name, "", found.labels, found.models)
    try:
        request = dialects.DEFAULT.decode_request(body)
        match = snapshot.router.match(request, {}, principal, clock.wall())
    except GatewayError as error:
        return {"error": {"status": error.http_status, "code": error.error_code, "message": error.message}}
    route = next(route for route in spec.routes if route.name == match.route)
    path = snapshot.plans[match]
    return {
        "route": path.decision.route,
        "why": " and ".join(path.decision.reasons),
        "goal": path.decision.goal,
        "pools": [_pool(spec, stage, route.policy) for stage in path.stages],
        "endpoints": [
            _endpoint(stage.pool, target, snapshot.endpoints[target.endpoint].id)
            for stage in path.stages
            for target in stage.targets
        ],
        "off": _off(spec, match, path),
        "facts": {
            "model": request.model,
            "tokens": request.tokens,
            "max_tokens": request.max_tokens,
            "tools": request.tools,
            "images": request.images,
            "stream": request.stream,
            "temperature": request.temperature,
        },
    }


def _pool(spec: Spec, stage: PoolStage, policy: Policy) -> dict[str, Any]:
    balance = EffectivePolicies(spec, workers=1).of_pool(stage.pool, policy).balance
    return {"pool": stage.pool, "balance": balance, "order": "; then ".join(_order(balance, stage))}


def _order(balance: str, stage: PoolStage) -> Iterator[str]:
    """Yield the rules by which an endpoint is chosen, the first that decides first."""
    if len(stage.targets) == 1:
        yield "its only endpoint"
        return
    if stage.is_sticky:
        yield "the endpoint of the conversation, if available"
    if len({target.priority for target in stage.targets}) > 1:
        yield "the members of the first priority that has an available endpoint"
    yield _summary(balance)


def _summary(balance: str) -> str:
    """Return what a strategy does: the first line of its file, without the name."""
    first, *_ = (sys.modules[BALANCERS[balance].__module__].__doc__ or "").splitlines() or [balance]
    return first.partition(": ")[2].rstrip(".") or balance


def _endpoint(pool: str, target: Target, endpoint: str) -> dict[str, Any]:
    timeouts = target.timeouts
    return {
        "pool": pool,
        "endpoint": endpoint,
        "model_id": target.model.id,
        "clocks_s": {
            "connect": timeouts.connect_s,
            "first_token": timeouts.first_token_s,
            "answer": timeouts.answer_s,
            "idle": timeouts.idle_s,
            "total": timeouts.total_s,
        },
    }


def _off(spec: Spec, match: Match, path: RoutePlan) -> list[str]:
    """Return the models that the request could be sent to as well if their providers had keys."""
    all_on = replace(spec, providers={name: replace(provider, is_on=True) for name, provider in spec.providers.items()})
    on = {target.model.name for stage in path.stages for target in stage.targets}
    stages = compile_snapshot(all_on, 0, {}, Directory(SystemClock()), workers=1).plans[match].stages
    return [target.model.name for stage in stages for target in stage.targets if target.model.name not in on]

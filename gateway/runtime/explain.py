"""`gateway explain`: where a request would be sent, without sending it."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
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


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a request comes with beside its body. `wall_s`: when, in seconds since the epoch; None: now."""

    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    path: str = dialects.DEFAULT.PATH
    wall_s: float | None = None


def moment(text: str, clock: Clock | None = None) -> float:
    """Return the seconds since the epoch of `14`, `14:30` (today) or `2026-01-31T14:30`, in UTC. Raises ValueError."""
    if text.isdigit() and len(text) <= 2:
        text = f"{int(text):02}:00"
    if len(text) <= 5:
        today = datetime.fromtimestamp((clock or SystemClock()).wall(), UTC).date()
        read = datetime.combine(today, time.fromisoformat(text), UTC)
    else:
        read = datetime.fromisoformat(text)
        read = read if read.tzinfo is not None else read.replace(tzinfo=UTC)
    return read.timestamp()


def explain(
    loaded: Loaded,
    body: bytes,
    tenant: str = "",
    clock: Clock | None = None,
    circumstances: Circumstances = Circumstances(),
) -> dict[str, Any]:
    """Route the request `body` under `loaded`, as `tenant` would send it.

    Return `route` and `goal`; `pools`, in the order of failover, each with how its balancer chooses; the `endpoints` by
    pool, as listed, with their timeouts; the models that are `off` because their provider is; and the `facts` that
    conditions saw. Return `error` where the request would be refused. Both name the routes that were `passed_over`, and why. A
    path that the gateway does not serve itself leads to a `provider`, without any of these.
    """
    spec, clock = loaded.spec, clock or SystemClock()
    snapshot = compile_snapshot(spec, 0, {}, Directory(clock), workers=1)
    found = spec.tenants.get(tenant)
    principal = ANYBODY if found is None else Principal(found.name, "", found.labels, found.models)
    headers, path = circumstances.headers, circumstances.path
    wall_s = clock.wall() if circumstances.wall_s is None else circumstances.wall_s
    passed_over: list[dict[str, str]] = []
    try:
        if (dialect := dialects.BY_PATH.get(path)) is None:
            name = snapshot.router.match_path("POST", path, headers, principal, wall_s)
            return {"route": name, "provider": next(one.provider for one in spec.path_routes if one.name == name)}
        request = dialect.decode_request(body)
        passed = snapshot.router.passed_over(request, headers, principal, wall_s)
        passed_over += [{"route": name, "why": why} for name, why in passed]
        match = snapshot.router.match(request, headers, principal, wall_s)
    except GatewayError as error:
        refusal = {"status": error.http_status, "code": error.error_code, "message": error.message}
        return {"error": refusal} | ({"passed_over": passed_over} if passed_over else {})
    route = next(route for route in spec.routes if route.name == match.route)
    plan = snapshot.plans[match]
    return {
        "route": plan.decision.route,
        "why": " and ".join(plan.decision.reasons),
        "goal": plan.decision.goal,
        "passed_over": passed_over,
        "pools": [_pool(spec, stage, route.policy) for stage in plan.stages],
        "endpoints": [
            _endpoint(stage.pool, target, snapshot.endpoints[target.endpoint].id)
            for stage in plan.stages
            for target in stage.targets
        ],
        "off": _off(spec, match, plan),
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

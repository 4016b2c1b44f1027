"""What would happen to a request, told without sending it."""

from dataclasses import replace
from typing import Any

from gateway import dialects
from gateway.compile.snapshot import compile_snapshot
from gateway.config.load import Loaded
from gateway.config.spec import Spec
from gateway.core.clock import Clock, SystemClock
from gateway.core.errors import GatewayError
from gateway.core.exchange import ANYBODY, Principal
from gateway.pools.directory import Directory
from gateway.pools.route_plan import RoutePlan
from gateway.pools.target import Target
from gateway.routing.router import Match


def explain(loaded: Loaded, body: bytes, tenant: str = "", clock: Clock | None = None) -> dict[str, Any]:
    """Route the request `body` under `loaded`, as `tenant` would send it now.

    Gives `route`, `goal`, the `endpoints` in the order in which they are asked with their clocks, those left out because
    their provider is off, and the `facts` that conditions saw; or `error` where the request would be refused.
    """
    spec, clock = loaded.spec, clock or SystemClock()
    snapshot = compile_snapshot(spec, 0, {}, Directory(clock))
    who = spec.tenants.get(tenant)
    principal = ANYBODY if who is None else Principal(who.name, "", who.labels, who.models)
    try:
        request = dialects.DEFAULT.decode_request(body)
        match = snapshot.router.match(request, {}, principal, clock.wall())
    except GatewayError as error:
        return {"error": {"status": error.http_status, "code": error.error_code, "message": error.message}}
    route = next(route for route in spec.routes if route.name == match.route)
    path = snapshot.plans[match]
    return {
        "route": match.route,
        "why": f"its match {list(route.match)} covers {request.model!r}"
        + (f" and its condition holds: {route.when}" if route.when else ""),
        "goal": match.goal,
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
    """Give the models that would be asked as well if their providers had keys."""
    all_on = replace(spec, providers={name: replace(provider, is_on=True) for name, provider in spec.providers.items()})
    asked = {target.model.name for stage in path.stages for target in stage.targets}
    stages = compile_snapshot(all_on, 0, {}, Directory(SystemClock())).plans[match].stages
    return [target.model.name for stage in stages for target in stage.targets if target.model.name not in asked]

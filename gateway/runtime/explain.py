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
from gateway.pools.endpoint import Path, Target
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
    path = snapshot.paths[match]
    return {
        "route": match.route,
        "why": f"its match {list(route.match)} covers {request.model!r}"
        + (f" and its condition holds: {route.when}" if route.when else ""),
        "goal": match.goal,
        "endpoints": [
            _endpoint(hop.pool, target, snapshot.endpoints[target.endpoint].id)
            for hop in path.hops
            for target in hop.targets
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
    clocks = target.clocks
    return {
        "pool": pool,
        "endpoint": endpoint,
        "model_id": target.model.id,
        "clocks_s": {
            "connect": clocks.connect_s,
            "first_token": clocks.first_token_s,
            "answer": clocks.answer_s,
            "idle": clocks.idle_s,
            "total": clocks.total_s,
        },
    }


def _off(spec: Spec, match: Match, path: Path) -> list[str]:
    """Give the models that would be asked as well if their providers had keys."""
    all_on = replace(spec, providers={name: replace(provider, is_on=True) for name, provider in spec.providers.items()})
    asked = {target.model.name for hop in path.hops for target in hop.targets}
    hops = compile_snapshot(all_on, 0, {}, Directory(SystemClock())).paths[match].hops
    return [target.model.name for hop in hops for target in hop.targets if target.model.name not in asked]

"""The `checks:` of a configuration: example requests, routed at load, each with the route, pool or model it must go to."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from gateway.config.load import Loaded, load
from gateway.config.spec import CheckSpec, Spec
from gateway.core.chat import ChatRequest
from gateway.core.errors import ModelNotFound
from gateway.core.exchange import ANYBODY, Principal
from gateway.core.problem import ConfigError, Problem
from gateway.providers import provider_kinds
from gateway.routing.router import Router

DAY_S: Final = 86400
MONDAY: Final = 4 * DAY_S  # the epoch began on a Thursday


def load_and_run_checks(path: Path, env: Mapping[str, str]) -> Loaded:
    """Read a configuration and run its checks. Blocking. Raises `ConfigError` with every problem."""
    loaded = load(path, env=env, kinds=provider_kinds())
    if problems := failed_checks(loaded.spec, Router(loaded.spec)):
        raise ConfigError(problems)
    return loaded


def failed_checks(spec: Spec, router: Router) -> list[Problem]:
    """Run every check; return a problem for each that fails. Every provider counts as having its key."""
    return [problem for check in spec.checks for problem in _run(check, spec, router)]


def route_of(given: Mapping[str, Any], spec: Spec, router: Router) -> dict[str, str]:
    """Return where a request like `given` goes: `route`, and `pool` or `model` or both. Raises `ModelNotFound`."""
    request = ChatRequest(
        raw=b"",
        path=given.get("path", "/v1/chat/completions"),
        model=given.get("model", ""),
        stream=bool(given.get("stream")),
        has_stream="stream" in given,
        max_tokens=given.get("max_tokens"),
        temperature=given.get("temperature"),
        tools=int(given.get("tools", 0)),
        images=int(given.get("images", 0)),
        tokens=int(given.get("tokens", 0)),
    )
    headers = {name.lower(): value for name, value in given.get("headers", {}).items()}
    tenant = spec.tenants.get(given.get("tenant", ""))
    principal = ANYBODY if tenant is None else Principal(tenant.name, "", tenant.labels, tenant.models)
    moment = MONDAY + (given.get("weekday", 1) - 1) * DAY_S + given.get("hour", 0) * 3600
    match = router.match(request, headers, principal, float(moment))
    found = {"route": match.route}
    if match.goal in spec.pools:
        return found | {"pool": match.goal, "model": spec.pools[match.goal].members[0].model}
    pool = next((pool.name for pool in spec.pools.values() if any(m.model == match.goal for m in pool.members)), "")
    return found | {"model": match.goal} | ({"pool": pool} if pool else {})


def _run(check: CheckSpec, spec: Spec, router: Router) -> Iterator[Problem]:
    def problem(message: str) -> Problem:
        return Problem(check.place, f"checks: {check.name}", message)

    try:
        found = route_of(check.given, spec, router)
    except ModelNotFound as error:
        if not check.expect.get("none"):
            yield problem(f"no route matches: {error.message}")
        return
    if check.expect.get("none"):
        yield problem(f'expected no route, went to route "{found["route"]}"')
    for key in ("route", "pool", "model"):
        expected, actual = check.expect.get(key), found.get(key, "none")
        if expected is not None and expected != actual:
            yield problem(f'expected {key} "{expected}", went to {key} "{actual}" (route "{found["route"]}")')

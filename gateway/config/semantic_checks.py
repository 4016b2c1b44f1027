"""What only the whole can tell: references, prices, unreachable routes, pools without life, keys, listeners.

Works on the values of a `Reader`, in which anything may be broken; what is broken has been told and is passed over.
"""

from collections.abc import Mapping, Set

from gateway.config.breakers import check_breakers
from gateway.config.conditions import check_conditions
from gateway.config.globs import fits
from gateway.config.listeners import check_listeners
from gateway.config.names import Names
from gateway.config.nodes import Trail
from gateway.config.paths import check_paths
from gateway.config.pools import check_effects
from gateway.config.providers import check_providers
from gateway.config.read import Reader, path_text
from gateway.config.references import check_life, check_models, check_pools
from gateway.config.retries import check_retries
from gateway.config.routes import check_routes, patterns_of
from gateway.config.schema_errors import did_you_mean
from gateway.core.kinds import ProviderKind


def check_semantics(reader: Reader, kinds: Mapping[str, ProviderKind], is_whole: bool, priced: Set[str]) -> None:
    """Tell `reader` of everything that does not fit together.

    `is_whole`: every file could be read; else what is not there may be in one that could not. `priced`: models known to a
    builtin that is not included.
    """
    names = Names(reader.values, is_whole)
    check_providers(reader, names)
    check_models(reader, names, kinds, priced)
    check_pools(reader, names)
    check_routes(reader, names)
    check_paths(reader, names)
    check_life(reader, names)
    check_breakers(reader, names)
    check_retries(reader, names)
    check_effects(reader, names)
    _tenants(reader, names)
    check_listeners(reader, names)
    _checks(reader, names)
    if "let" not in names.broken:
        _conditions(reader, names)


def _tenants(reader: Reader, names: Names) -> None:
    owners: dict[str, Trail] = {}
    askable = {*names.models, *names.pools}
    for _, route in names.routes:
        askable.update(pattern for _, pattern in patterns_of(route))
    for tenant, settings in names.tenants.items():
        if not isinstance(settings, dict):
            continue
        keys = settings.get("keys")
        for index, key in enumerate(keys if isinstance(keys, list) else []):
            trail: Trail = ("tenants", tenant, "keys", index)
            if isinstance(key, str) and (first := owners.setdefault(key, trail)) != trail:
                reader.complain(trail, f"the same key as {path_text(first)}; a key belongs to one tenant")
        allowed = settings.get("models")
        for index, pattern in enumerate(allowed if isinstance(allowed, list) else []):
            if not isinstance(pattern, str) or "*" in pattern or names.broken & {"models", "pools", "routes"}:
                continue
            if not any(fits(one, pattern) for one in askable):
                at: Trail = ("tenants", tenant, "models", index)
                known = sorted({*names.models, *names.pools})
                reader.complain(
                    at, f"nothing of the name {reader.shown(at)} can be asked for{did_you_mean(pattern, known)}"
                )


def _checks(reader: Reader, names: Names) -> None:
    titles = [(i, route.get("name")) for i, route in names.routes]
    routes = {title for _, title in titles}
    for index, check in names.checks:
        trail: Trail = ("checks", index)
        given, expect = check.get("given"), check.get("expect")
        if isinstance(given, dict) and "tenant" in given:
            names.refer(reader, (*trail, "given", "tenant"), given["tenant"], ("tenants",))
        if not isinstance(expect, dict):
            continue
        route = expect.get("route")
        if isinstance(route, str) and route not in routes and None not in routes and "routes" not in names.broken:
            at = (*trail, "expect", "route")
            literal = [str(title) for i, title in titles if reader.shown(("routes", i, "name")).startswith('"')]
            reader.complain(at, f"there is no route {reader.shown(at)}{did_you_mean(route, literal)}")
        for key in ("pool", "model"):
            if key in expect:
                names.refer(reader, (*trail, "expect", key), expect[key], (f"{key}s",))
        if "none" in expect and len(expect) > 1:
            reader.complain(
                (*trail, "expect", "none"), "stands alone: where no route takes it there is nothing more to expect"
            )


def _conditions(reader: Reader, names: Names) -> None:
    whens: list[tuple[Trail, str]] = [
        (("routes", i, "when"), one["when"]) for i, one in names.routes if isinstance(one.get("when"), str)
    ]
    check_conditions(reader, names.lets, whens)

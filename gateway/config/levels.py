"""The levels of the language at which one key may stand: `timeout` under `defaults`, a provider, a model, a pool or a route."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from gateway.config.nodes import Trail

Level = Literal["defaults", "provider", "model", "pool", "route", "path_route", "tenant"]
"""`route` is a route with `match` and `to`, `path_route` one with `paths` and `provider`."""

_NAMED: Final[Mapping[Level, str]] = {"provider": "providers", "model": "models", "pool": "pools", "tenant": "tenants"}


def standing_at(values: Any, level: Level) -> Iterator[tuple[Trail, dict[str, Any]]]:
    """Yield each sound mapping of a level with its trail; `values` may be broken in places."""
    if not isinstance(values, dict):
        return
    if level == "defaults":
        if isinstance(values.get("defaults"), dict):
            yield ("defaults",), values["defaults"]
    elif level in ("route", "path_route"):
        routes = values.get("routes")
        for index, route in enumerate(routes if isinstance(routes, list) else ()):
            if isinstance(route, dict) and ("paths" in route) == (level == "path_route"):
                yield ("routes", index), route
    else:
        section = values.get(_NAMED[level])
        for name, settings in section.items() if isinstance(section, dict) else ():
            if isinstance(settings, dict):
                yield (_NAMED[level], name), settings

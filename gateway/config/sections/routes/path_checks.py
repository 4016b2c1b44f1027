"""The semantic checks of routes for paths: the provider exists, the gateway does not serve the paths, each can be reached."""

from dataclasses import dataclass
from typing import Any

from gateway.config.globs import fits
from gateway.config.names import Names
from gateway.config.nodes import Trail
from gateway.config.read import Reader
from gateway.config.sections.routes.checks import when_of
from gateway.config.sections.routes.spec import PathRouteSpec
from gateway.core.reserved_paths import REALTIME, REALTIME_UNSUPPORTED, is_gateway_path, is_realtime_path

DEFAULT_METHODS = PathRouteSpec("", (), "").methods


def check_paths(reader: Reader, names: Names) -> None:
    """Each route that has `paths`, then each against those before it."""
    for index, route in names.routes:
        if "paths" not in route:
            continue
        trail: Trail = ("routes", index)
        names.refer(reader, (*trail, "provider"), route.get("provider"), ("providers",))
        for at, path in _paths_of(route):
            inner = (*trail, "paths", at)
            if is_gateway_path(path):  # a star that covers one of these too leads to the others
                reader.complain(inner, "the gateway serves this path itself; what is asked there goes by `match`")
            elif is_realtime_path(path) or path.startswith(f"{REALTIME}*"):
                reader.complain(inner, f"{REALTIME_UNSUPPORTED}; such a path can't be passed through")
    _check_reach(reader, names)


def _check_reach(reader: Reader, names: Names) -> None:
    """Refuse a route all of whose paths, with all of its methods, go to an earlier one without a condition, or with the same one."""
    before: list[_Taker] = []
    for index, route in names.routes:
        paths, methods, when = [path for _, path in _paths_of(route)], _methods_of(route), when_of(route)
        if not paths or when == "":
            continue
        rivals = [one for one in before if one.when in (None, when) and methods <= one.methods]
        takers = [next((one.index for one in rivals if one.covers(path)), None) for path in paths]
        if None not in takers:
            them = sorted({taker for taker in takers if taker is not None})
            message = " and ".join(f"routes[{i}] {reader.shown(('routes', i, 'name'))}" for i in them)
            hint = "; put this route before it, or give that one a `when`"
            reader.complain(("routes", index), f"can never be reached: all of its paths go to {message}{hint}")
        before.append(_Taker(index, when, methods, paths))


@dataclass(frozen=True, slots=True)
class _Taker:
    """What a route takes."""

    index: int
    when: str | None
    methods: set[str]
    paths: list[str]

    def covers(self, path: str) -> bool:
        return any(fits(pattern, path) for pattern in self.paths)


def _paths_of(route: dict[str, Any]) -> list[tuple[int, str]]:
    """Return the sound patterns of a route's `paths`, with their indices."""
    paths = route.get("paths")
    return [(i, one) for i, one in enumerate(paths) if isinstance(one, str)] if isinstance(paths, list) else []


def _methods_of(route: dict[str, Any]) -> set[str]:
    methods = route.get("methods")
    return {one for one in methods if isinstance(one, str)} if isinstance(methods, list) else set(DEFAULT_METHODS)

"""Which route passes a request through: the first whose `paths` cover its path, that accepts its method, and whose `when` holds.

Every other path is refused: a path of no route, a path that the gateway serves itself, and a path that two servers could read
differently (empty segments, dots, escapes).
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from gateway.config.spec import PathRouteSpec
from gateway.core.chat import ChatRequest
from gateway.core.errors import MethodNotAllowed, NotFound
from gateway.core.exchange import Principal
from gateway.core.reserved_paths import is_gateway_path, is_realtime_path
from gateway.dsl.compile import Condition, Conditions
from gateway.routing.names import NamePattern

_SAFE_PATH: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~:@!$'()+,=-]+)+")


class PathRouter:
    """The pass-through routes of one configuration. Immutable."""

    def __init__(self, routes: Iterable[PathRouteSpec], conditions: Conditions) -> None:
        self._conditions = conditions
        self._routes: tuple[tuple[PathRouteSpec, NamePattern, Condition | None], ...] = tuple(
            (route, NamePattern(route.paths), None if route.when is None else conditions.compile(route.when))
            for route in routes
        )

    def covers(self, path: str) -> bool:
        """Return whether any route covers `path`."""
        return (
            bool(self._routes) and _may_pass_through(path) and any(paths.covers(path) for _, paths, _ in self._routes)
        )

    def match(self, method: str, path: str, headers: Mapping[str, str], principal: Principal, wall_s: float) -> str:
        """Return the name of the route. Raises `NotFound`, or `MethodNotAllowed` if a route would accept other methods only."""
        covering = [one for one in self._routes if one[1].covers(path)] if _may_pass_through(path) else []
        if not covering:
            raise NotFound("there is nothing at this path")
        request = ChatRequest(raw=b"", path=path, model="")
        scope = self._conditions.scope(request, headers, principal.tenant, principal.labels, wall_s)
        holding = [route for route, _, when in covering if when is None or when.holds(scope)]
        if not holding:
            raise NotFound("there is nothing at this path")
        for route in holding:
            if _accepts(route, method):
                return route.name
        names = ", ".join(dict.fromkeys(name for route in holding for name in _method_names(route)))
        raise MethodNotAllowed(f"this path accepts {names}", allow=names)


def _may_pass_through(path: str) -> bool:
    return _SAFE_PATH.fullmatch(path) is not None and not is_gateway_path(path) and not is_realtime_path(path)


def _accepts(route: PathRouteSpec, method: str) -> bool:
    return ("GET" if method == "HEAD" else method) in route.methods


def _method_names(route: PathRouteSpec) -> list[str]:
    return [name for method in route.methods for name in (("GET", "HEAD") if method == "GET" else (method,))]

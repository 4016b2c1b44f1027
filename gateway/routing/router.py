"""Which route a request takes: the first whose `match` covers the requested model and whose `when` holds.

For every name that the configuration spells out, the candidate routes are looked up in a dictionary made at load. Only a member
of a family (`mock-1` of `mock-*`) is matched when it is requested. The scope of conditions is made once for a request, and only
if a candidate has a condition.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from heapq import nlargest
from itertools import islice, pairwise
from typing import NamedTuple

from gateway.config.spec import Spec
from gateway.core.chat import ChatRequest
from gateway.core.errors import ModelNotFound
from gateway.core.exchange import Principal
from gateway.dsl.compile import Condition, Conditions, Scope
from gateway.routing.names import NamePattern
from gateway.routing.paths import PathRouter

REQUESTED = "requested"
MAX_CACHED_NAMES = 1000  # members of families; clients choose these names, so their number is unbounded
MAX_CACHED_CHARS = 256  # a longer name is not cached
MAX_COMPARED_CHARS = 64  # of an unknown name
MAX_COMPARED_NAMES = 1000  # by the pairs of letters that they share with it
MAX_CLOSE_NAMES = 3  # of these, compared letter by letter: up to half a millisecond for each


class Match(NamedTuple):
    """Where a request goes: the route, and as `goal` the pool, model or family that the route leads to for this model name."""

    route: str
    goal: str


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One route that covers a name."""

    condition: Condition | None
    match: Match


class Router:
    """The routes of one configuration. Immutable, except for its caches: family members, listed names, suggestions."""

    def __init__(self, spec: Spec) -> None:
        self._conditions = Conditions(spec.lets)
        self._routes = tuple(
            (route, NamePattern(route.match), None if route.when is None else self._conditions.compile(route.when))
            for route in spec.routes
        )
        self._path_router = PathRouter(spec.path_routes, self._conditions)
        self._destinations = {*spec.models, *spec.pools}
        self._families = tuple((name, NamePattern([name])) for name in spec.models if "*" in name)
        spelled = {name for route in spec.routes for name in route.match}
        names = sorted(name for name in self._destinations | spelled if "*" not in name)
        self._candidates = {name: candidates for name in names if (candidates := self._candidates_for(name))}
        self._cached: dict[str, tuple[_Candidate, ...]] = {}
        self._names: dict[
            tuple[str, ...], dict[str, frozenset[str]]
        ] = {}  # by a tenant's patterns, with pairs of letters
        self._suggestions: dict[tuple[tuple[str, ...], str], str] = {}
        self._allowed = {tenant.models: NamePattern(tenant.models) for tenant in spec.tenants.values()}

    def match(self, request: ChatRequest, headers: Mapping[str, str], principal: Principal, wall_s: float) -> Match:
        """Return where a request goes. Raises `ModelNotFound`, with a suggestion if a name is similar."""
        requested = request.model
        if self._is_allowed(principal, requested):
            candidates = self._candidates.get(requested)
            if candidates is None:
                candidates = self._cached_candidates_for(requested)
            scope: Scope | None = None
            for candidate in candidates:
                if candidate.condition is None:
                    return candidate.match
                if scope is None:
                    scope = self._conditions.scope(request, headers, principal.tenant, principal.labels, wall_s)
                if candidate.condition.holds(scope):
                    return candidate.match
        raise self._not_found(requested, principal)

    def passed_over(
        self, request: ChatRequest, headers: Mapping[str, str], principal: Principal, wall_s: float
    ) -> list[tuple[str, str]]:
        """Return the routes before the one that takes a request, each with the reason why it does not. For `gateway explain`."""
        name = request.model
        candidates = {candidate.match.route for candidate in self._candidates_for(name)}
        scope = self._conditions.scope(request, headers, principal.tenant, principal.labels, wall_s)
        passed: list[tuple[str, str]] = []
        if not self._is_allowed(principal, name):
            return passed
        for route, pattern, condition in self._routes:
            if not pattern.covers(name):
                passed.append((route.name, f"its match {list(route.match)} does not cover {name!r}"))
            elif route.name not in candidates:
                passed.append((route.name, f"it leads to the requested model, and there is no model or pool {name!r}"))
            elif condition is None or condition.holds(scope):
                break
            else:
                seen = ", ".join(
                    f"{one} is {shown}" for one, shown in self._conditions.seen(condition.source, scope.facts)
                )
                passed.append((route.name, f"its condition is false: {condition.source} ({seen})"))
        return passed

    def is_passthrough_path(self, path: str) -> bool:
        """Return whether any route passes requests for `path` through, its condition aside."""
        return self._path_router.covers(path)

    def match_path(
        self, method: str, path: str, headers: Mapping[str, str], principal: Principal, wall_s: float
    ) -> str:
        """Return the name of the route that passes a request through. Raises `NotFound`, `MethodNotAllowed`."""
        return self._path_router.match(method, path, headers, principal, wall_s)

    def all_matches(self) -> Iterator[Match]:
        """Yield every result that `match` can return."""
        yield from dict.fromkeys(
            candidate.match for candidates in self._candidates.values() for candidate in candidates
        )
        for name, _ in self._families:
            yield from (Match(route.name, name if route.to == REQUESTED else route.to) for route, _, _ in self._routes)

    def model_names(self, principal: Principal) -> list[str]:
        """Return every model name that `principal` may request, in alphabetical order; families by their pattern."""
        return list(self._names_for(principal))

    def is_allowed_model(self, name: str, principal: Principal) -> bool:
        """Return whether `principal` may request `name`, a listed name or a member of a family."""
        return self._is_allowed(principal, name) and bool(self._candidates.get(name) or self._candidates_for(name))

    def family_of(self, name: str) -> str | None:
        """Return the family that a model belongs to; None if it has an entry of its own, or no family."""
        return None if name in self._destinations else self._family_of(name)

    @property
    def condition_errors(self) -> int:
        """How many evaluations of conditions failed at run time, and so counted as false."""
        return self._conditions.errors

    def _cached_candidates_for(self, name: str) -> tuple[_Candidate, ...]:
        """Return the candidates for a name that only a family may cover, from the cache if the name is short enough."""
        if len(name) > MAX_CACHED_CHARS:
            return self._candidates_for(name)
        candidates = self._cached.get(name)
        if candidates is None:
            if len(self._cached) >= MAX_CACHED_NAMES:
                self._cached.clear()
            candidates = self._cached[name] = self._candidates_for(name)
        return candidates

    def _candidates_for(self, name: str) -> tuple[_Candidate, ...]:
        """Return the routes whose `match` covers `name` and that lead to a pool or model for it."""
        goal = name if name in self._destinations else self._family_of(name)
        return tuple(
            _Candidate(condition, Match(route.name, goal or "" if route.to == REQUESTED else route.to))
            for route, pattern, condition in self._routes
            if pattern.covers(name) and (goal is not None or name in pattern.exact)
            if goal is not None or route.to != REQUESTED
        )

    def _family_of(self, name: str) -> str | None:
        return next((family for family, pattern in self._families if pattern.covers(name)), None)

    def _is_allowed(self, principal: Principal, name: str) -> bool:
        pattern = self._allowed.get(principal.models)
        return pattern is None or pattern.covers(name)

    def _names_for(self, principal: Principal) -> dict[str, frozenset[str]]:
        """Return the names that `principal` may request, in order, each with its pairs of letters; made once per tenant."""
        names = self._names.get(principal.models)
        if names is None:
            families = (name for name, _ in self._families if self._candidates_for(name))
            allowed = sorted(name for name in (*self._candidates, *families) if self._is_allowed(principal, name))
            names = self._names[principal.models] = {name: _pairs(name) for name in allowed}
        return names

    def _not_found(self, requested: str, principal: Principal) -> ModelNotFound:
        shown = requested if len(requested) <= 100 else f"{requested[:100]}…"
        close = self._suggestion(requested[:MAX_COMPARED_CHARS], principal)
        hint = f": did you mean {close!r}?" if close else ""
        return ModelNotFound(f"the model {shown!r} does not exist or is not allowed to this key{hint}", param="model")

    def _suggestion(self, requested: str, principal: Principal) -> str:
        """Return the most similar name, "" if none is. Takes 2 ms at most, whatever clients request."""
        key = (principal.models, requested)
        found = self._suggestions.get(key)
        if found is None:
            pairs, names = _pairs(requested), self._names_for(principal)
            shared = ((len(pairs & own), name) for name, own in islice(names.items(), MAX_COMPARED_NAMES))
            likely = [name for _, name in nlargest(MAX_CLOSE_NAMES, shared)]
            close = get_close_matches(requested, likely, n=1)
            if len(self._suggestions) >= MAX_CACHED_NAMES:
                self._suggestions.clear()
            found = self._suggestions[key] = close[0] if close else ""
        return found


def _pairs(name: str) -> frozenset[str]:
    """Return the pairs of adjacent letters in the part of a name that is compared."""
    part = name[:MAX_COMPARED_CHARS]
    return frozenset(map("".join, pairwise(part)))

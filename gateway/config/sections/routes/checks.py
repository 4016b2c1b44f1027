"""The semantic checks of `routes`: each leads to something that exists, and each can be reached."""

from typing import Any

from gateway.config.globs import fits, meet
from gateway.config.messages import did_you_mean
from gateway.config.names import REQUESTED, Names, are_off, patterns_of
from gateway.config.nodes import Trail, name
from gateway.config.read import Reader


def check_routes(reader: Reader, names: Names) -> None:
    """Each route by itself, then each against those before it."""
    seen: dict[str, int] = {}
    for index, route in names.routes:
        trail: Trail = ("routes", index)
        own_name, to = route.get("name"), route.get("to")
        if isinstance(own_name, str) and seen.setdefault(own_name, index) != index:
            reader.complain((*trail, "name"), f"routes[{seen[own_name]}] has this name already")
        if "paths" in route:  # `path_checks.py` has the rest
            continue
        if to == REQUESTED:
            _check_requested(reader, names, trail, patterns_of(route))
        elif names.refer(reader, (*trail, "to"), to, ("pools", "models"), also=(REQUESTED,)):
            names.refuse_family(reader, (*trail, "to"), str(to))
            _check_life(reader, names, (*trail, "to"), str(to))
    _check_reach(reader, names)
    _warn_of_families(reader, names)


def _check_life(reader: Reader, names: Names, trail: Trail, to: str) -> None:
    """Refuse a model whose provider is off; pools are checked by themselves."""
    if to in names.models and not names.is_live(to):
        message = (
            f"model {name(to)} can't answer: {are_off([str(names.provider_of(to))])}; set the key, or send to a pool"
        )
        reader.complain(trail, message)


def _check_requested(reader: Reader, names: Names, trail: Trail, patterns: list[tuple[int, str]]) -> None:
    """Refuse names in `match` that no model or pool has, where the route leads to the requested model."""
    if names.broken & {"models", "pools"}:
        return
    known = {**names.models, **names.pools}
    for index, pattern in patterns:
        if pattern in known or any(meet(pattern, one) for one in known if "*" in one or "*" in pattern):
            continue
        what = "no model or pool fits" if "*" in pattern else "there is no model or pool"
        hint = "" if "*" in pattern else did_you_mean(pattern, sorted(known))
        message = f"{what} {reader.shown((*trail, 'match', index))}, and `to: {REQUESTED}` leads only to those; name one, or send it to a pool"
        reader.complain((*trail, "match", index), message + (hint if "did you mean" in hint else ""))


def _check_reach(reader: Reader, names: Names) -> None:
    """Refuse a route all of whose names are taken by earlier routes without a condition, or with the same one."""
    taken: dict[str | None, _Taken] = {None: _Taken()}
    for index, route in names.routes:
        when, patterns = when_of(route), [pattern for _, pattern in patterns_of(route)]
        if not patterns or when == "":
            continue
        rivals = [taken[None], taken.setdefault(when, _Taken())]
        takers = [next((by for one in rivals if (by := one.by(pattern)) is not None), None) for pattern in patterns]
        if None not in takers:
            them = sorted({taker for taker in takers if taker is not None})
            message = " and ".join(f"routes[{i}] {reader.shown(('routes', i, 'name'))}" for i in them)
            hint = "; put this route before it, or give that one a `when`"
            reader.complain(("routes", index), f"can never be reached: all that it matches goes to {message}{hint}")
        for pattern in patterns:
            taken[when].add(pattern, index)


class _Taken:
    """What routes with one condition match, and which of them first."""

    def __init__(self) -> None:
        self._first: dict[str, int] = {}
        self._globs: list[str] = []

    def add(self, pattern: str, index: int) -> None:
        if self._first.setdefault(pattern, index) == index and "*" in pattern:
            self._globs.append(pattern)

    def by(self, pattern: str) -> int | None:
        """Return the route that takes all of `pattern`; None where none does."""
        found = self._first.get(pattern)
        if found is None:
            found = next((self._first[glob] for glob in self._globs if fits(glob, pattern)), None)
        return found


def _warn_of_families(reader: Reader, names: Names) -> None:
    """Warn of families of models to which no route leads."""
    patterns = [p for _, route in names.routes if route.get("to") == REQUESTED for _, p in patterns_of(route)]
    for model in names.models:
        if "*" in model and not any(meet(pattern, model) for pattern in patterns):
            reader.warn(("models", model), f"no route leads to this family; one with `to: {REQUESTED}` would")


def when_of(route: dict[str, Any]) -> str | None:
    """Return a condition with its white space normalized; None for none, "" for a broken one."""
    if "when" not in route:
        return None
    return " ".join(route["when"].split()) if isinstance(route["when"], str) else ""

"""Breakers: an endpoint has one, so no two pools may ask for different ones for the same model."""

from dataclasses import asdict
from typing import Any, Final

from gateway.config.names import Names, members_of
from gateway.config.nodes import name
from gateway.config.read import Reader
from gateway.config.spec import BreakerSpec

_BUILT_IN: Final = {key.removesuffix("_s"): value for key, value in asdict(BreakerSpec()).items()}


def judge_breakers(reader: Reader, names: Names) -> None:
    """Refuse a pool that gives a model another breaker than the model has elsewhere."""
    for model, uses in _uses(names).items():
        if model not in names.models:
            continue
        first, of_first = uses[0], _breaker(names, model, uses[0])
        for use in uses[1:]:
            if (breaker := _breaker(names, model, use)) == of_first or "?" in (breaker, of_first):
                continue
            told, other = (use, first) if "breaker" in names.pools.get(use, {}) else (first, use)
            elsewhere = f"in pool {name(other)}" if other in names.pools else "where it stands alone in a `then`"
            said = f"gives model {name(model)} another breaker than it has {elsewhere}; an endpoint has one: give it at the model"
            reader.complain(("pools", told, "breaker"), said, at_key=True)


def _uses(names: Names) -> dict[str, list[str]]:
    """Give, for each model, the pools that list it; "" for a `then` that leads to the model alone."""
    uses: dict[str, list[str]] = {}
    for pool, settings in names.pools.items():
        for _, model in members_of(settings):
            uses.setdefault(model, []).append(pool)
    for settings in names.pools.values():
        then = settings.get("then") if isinstance(settings, dict) else None
        if isinstance(then, str) and then not in names.pools and "" not in uses.get(then, ()):
            uses.setdefault(then, []).append("")
    return uses


def _breaker(names: Names, model: str, pool: str) -> Any:
    """Give what holds for a model in a pool, field by field; None for none, "?" where it can't be told."""
    provider = names.providers.get(names.provider_of(model) or "")
    found: dict[str, Any] | None = _BUILT_IN
    for level in (names.defaults, provider, names.models[model], names.pools.get(pool)):
        said = level.get("breaker", {}) if isinstance(level, dict) else {}
        if said == "none":
            found = None
        elif not isinstance(said, dict):
            return "?"
        elif said:
            found = {**(found or _BUILT_IN), **said}
    return found

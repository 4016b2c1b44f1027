"""Breakers: an endpoint has one, so no two pools may ask for different ones for the same model."""

from dataclasses import asdict
from typing import Any, Final

from gateway.config.names import Names, members_of
from gateway.config.nodes import name
from gateway.config.read import Reader
from gateway.config.spec import BreakerSpec

_BUILT_IN: Final = {key.removesuffix("_s"): value for key, value in asdict(BreakerSpec()).items()}


def check_breakers(reader: Reader, names: Names) -> None:
    """Refuse a pool that gives a model another breaker than a pool before it does. Pools that say nothing take what is said."""
    first: dict[str, tuple[str, Any]] = {}
    for pool, settings in names.pools.items():
        if not isinstance(settings, dict) or "breaker" not in settings:
            continue
        for _, model in members_of(settings):
            breaker = _breaker(names, model, pool)
            other, of_other = first.setdefault(model, (pool, breaker))
            if breaker != of_other and "?" not in (breaker, of_other):
                said = f"gives model {name(model)} another breaker than pool {name(other)} does; an endpoint has one: give it at the model"
                reader.complain(("pools", pool, "breaker"), said, at_key=True)


def _breaker(names: Names, model: str, pool: str) -> Any:
    """Give what holds for a model in a pool, field by field; None for none, "?" where it can't be told."""
    provider = names.providers.get(names.provider_of(model) or "")
    found: dict[str, Any] | None = _BUILT_IN
    for level in (names.defaults, provider, names.models.get(model), names.pools[pool]):
        said = level.get("breaker", {}) if isinstance(level, dict) else {}
        if said == "none":
            found = None
        elif not isinstance(said, dict):
            return "?"
        elif said:
            found = {**(found or _BUILT_IN), **said}
    return found

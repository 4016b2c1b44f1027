"""`breaker`: when an endpoint that fails gets no requests. Each endpoint has one breaker, whatever pools it is in."""

from dataclasses import asdict, dataclass
from typing import Any, Final

from gateway.config.definitions import mapping_or_none, ref, whole_number
from gateway.config.names import Names, members_of
from gateway.config.nodes import name
from gateway.config.read import Reader
from gateway.config.section import Setting


@dataclass(frozen=True, slots=True)
class BreakerSpec:
    """`failures` in a row open the breaker for `recovery_s`; `successes` probes in a row close it."""

    failures: int = 5
    recovery_s: float = 30.0
    successes: int = 3
    slow_start_s: float = 10.0  # after its recovery an endpoint's share of a spread pool grows to the full over so long


_BUILT_IN: Final = {key.removesuffix("_s"): value for key, value in asdict(BreakerSpec()).items()}


def check_breakers(reader: Reader, names: Names) -> None:
    """Refuse a pool that sets another breaker for a model than an earlier pool. A pool without `breaker` takes that one's."""
    first: dict[str, tuple[str, Any]] = {}
    for pool, settings in names.pools.items():
        if not isinstance(settings, dict) or "breaker" not in settings:
            continue
        for _, model in members_of(settings):
            breaker = _breaker(names, model, pool)
            other, of_other = first.setdefault(model, (pool, breaker))
            if breaker != of_other and "?" not in (breaker, of_other):
                message = f"gives model {name(model)} another breaker than pool {name(other)} does; an endpoint has one: give it at the model"
                reader.complain(("pools", pool, "breaker"), message, at_key=True)


def _breaker(names: Names, model: str, pool: str) -> Any:
    """Return what holds for a model in a pool, field by field; None for none, "?" where part of it is broken."""
    provider = names.providers.get(names.provider_of(model) or "")
    merged: dict[str, Any] | None = _BUILT_IN
    for level in (names.defaults, provider, names.models.get(model), names.pools[pool]):
        breaker = level.get("breaker", {}) if isinstance(level, dict) else {}
        if breaker == "none":
            merged = None
        elif not isinstance(breaker, dict):
            return "?"
        elif breaker:
            merged = {**(merged or _BUILT_IN), **breaker}
    return merged


_ABOUT: Final = "When an endpoint that fails is left alone; `none`: never."

BREAKER: Final = Setting(
    key="breaker",
    about=_ABOUT,
    schema=mapping_or_none(
        {
            "failures": whole_number(5, "failures in a row that open the breaker of an endpoint"),
            "recovery": ref("positive_duration", "how long an open breaker keeps requests away", default="30s"),
            "successes": whole_number(3, "probes in a row that must succeed to close it"),
            "slow_start": ref("duration", "how long its share grows to the full after it has closed", default="10s"),
        },
        _ABOUT,
    ),
    levels=("defaults", "provider", "model", "pool"),
    spec=BreakerSpec,
    checks=(check_breakers,),
)

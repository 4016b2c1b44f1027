"""What the language has a place for and this version does not serve: refused with its own message, never ignored.

The change that brings a feature deletes its entry in `FEATURES`. Paths are dotted; `*` stands for any name or index.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A feature that is not built: its keys, and values that begin with one of some words, by the key that may hold them."""

    what: str
    keys: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


FEATURES: Final = (
    Unavailable("classification by complexity", ("classifier", "checks.*.given.tier", "checks.*.expect.tier")),
    Unavailable("choosing by complexity", ("routes.*.choose",)),
    Unavailable("the cache of answers", ("caches", "routes.*.cache", "checks.*.expect.cache")),
    Unavailable("experiments", ("experiments", "routes.*.experiment", "routes.*.experiments", "checks.*.expect.arm")),
    Unavailable("mirrored traffic", ("routes.*.mirror",)),
    Unavailable("rate and token limits", ("limits", "routes.*.limits", "tenants.*.limits")),
    Unavailable("budgets", ("tenants.*.over_budget",)),
    Unavailable("the counterfactual price", ("routes.*.reference",)),
    Unavailable("aliases", ("aliases",)),
    Unavailable("routing by capability", ("models.*.capabilities",)),
    Unavailable("the embedding engine", ("embedding",)),
    Unavailable("a shared store", ("state.url",), {"state.store": ("redis", "valkey", "unix:")}),
    Unavailable("tracing", ("observe.zipkin", "observe.trace_share")),
    Unavailable("the request log", ("observe.requests",)),
)

KEYS: Final = MappingProxyType({key: feature.what for feature in FEATURES for key in feature.keys})

ELSEWHERE: Final = MappingProxyType(
    {
        "routes.*.breaker": "a breaker belongs to an endpoint; give it at the provider, the model or the pool",
        "models.*.weight": "a weight belongs to a member of a pool: members: [{model: …, weight: …}]",
        "pools.*.weights": "a weight belongs to a member of a pool: members: [{model: …, weight: …}]",
    }
)
"""What has its place at another level, and stays refused here."""


def refused_key(trail: tuple[str | int, ...]) -> str | None:
    """Return why the key that ends `trail` is refused: not available yet, or at home elsewhere; None where it is unknown."""
    if (where := next((message for path, message in ELSEWHERE.items() if _fits(path, trail)), None)) is not None:
        return where
    what = next((what for path, what in KEYS.items() if _fits(path, trail)), None)
    return f"not available yet ({what}); remove it" if what else None


def refused_value(trail: tuple[str | int, ...], value: Any) -> str | None:
    """Return why `value` at `trail` is refused: not available yet; None for other values."""
    for feature in FEATURES:
        for path, beginnings in feature.values.items():
            if _fits(path, trail) and str(value).startswith(beginnings):
                return f"not available yet ({feature.what})"
    return None


def _fits(path: str, trail: tuple[str | int, ...]) -> bool:
    steps = path.split(".")
    return len(steps) == len(trail) and all(step in ("*", str(given)) for step, given in zip(steps, trail, strict=True))

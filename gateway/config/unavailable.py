"""What the language has a place for and this version does not serve: refused in words, never ignored.

Whoever builds a feature deletes its lines here. Paths are dotted; `*` stands for any name or index.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

KEYS: Final = MappingProxyType(
    {
        "classifier": "classification by complexity",
        "caches": "the cache of answers",
        "experiments": "experiments",
        "limits": "rate and token limits",
        "aliases": "aliases",
        "embedding": "the embedding engine",
        "state.url": "a shared store",
        "models.*.capabilities": "routing by capability",
        "routes.*.choose": "choosing by complexity",
        "routes.*.reference": "the counterfactual price",
        "routes.*.cache": "the cache of answers",
        "routes.*.experiment": "experiments",
        "routes.*.experiments": "experiments",
        "routes.*.mirror": "mirrored traffic",
        "routes.*.limits": "rate and token limits",
        "tenants.*.limits": "rate and token limits",
        "tenants.*.over_budget": "budgets",
        "observe.zipkin": "tracing",
        "observe.trace_share": "tracing",
        "observe.requests": "the request log",
        "checks.*.given.tier": "classification by complexity",
        "checks.*.expect.tier": "classification by complexity",
        "checks.*.expect.arm": "experiments",
        "checks.*.expect.cache": "the cache of answers",
    }
)

ELSEWHERE: Final = MappingProxyType(
    {
        "routes.*.breaker": "a breaker belongs to an endpoint; give it at the provider, the model or the pool",
        "models.*.weight": "a weight belongs to a member of a pool: members: [{model: …, weight: …}]",
        "pools.*.weights": "a weight belongs to a member of a pool: members: [{model: …, weight: …}]",
    }
)
"""What has its place at another level, and stays refused here."""

VALUES: Final[tuple[tuple[str, Callable[[Any], bool], str], ...]] = (
    ("state.store", lambda value: str(value).startswith(("redis", "valkey", "unix:")), "a shared store"),
)


def refused_key(trail: tuple[str | int, ...]) -> str | None:
    """Say that the key that ends `trail` is not available yet or belongs elsewhere; None where it is simply unknown."""
    if (where := next((said for path, said in ELSEWHERE.items() if _fits(path, trail)), None)) is not None:
        return where
    what = next((what for path, what in KEYS.items() if _fits(path, trail)), None)
    return f"not available yet ({what}); remove it" if what else None


def refused_value(trail: tuple[str | int, ...], value: Any) -> str | None:
    """Say that `value` at `trail` is not available yet; None where there is nothing to say."""
    what = next((what for path, test, what in VALUES if _fits(path, trail) and test(value)), None)
    return f"not available yet ({what})" if what else None


def _fits(path: str, trail: tuple[str | int, ...]) -> bool:
    steps = path.split(".")
    return len(steps) == len(trail) and all(step in ("*", str(given)) for step, given in zip(steps, trail, strict=True))

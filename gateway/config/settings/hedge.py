"""`hedge`: a second endpoint asked while the first is silent."""

from dataclasses import dataclass
from typing import Any, Final

from gateway.config.definitions import mapping_or_none, ref
from gateway.config.names import Names, members_of
from gateway.config.nodes import Trail
from gateway.config.read import Reader
from gateway.config.section import Setting


@dataclass(frozen=True, slots=True)
class HedgeSpec:
    """A second endpoint is asked where the first is silent for longer than `quantile` of its first tokens took.

    At most `share` of a pool's requests are hedged; while there are too few measurements, the wait is `after_s`.
    """

    quantile: float = 0.95
    share: float = 0.05
    after_s: float = 2.0


def check_hedges(reader: Reader, names: Names) -> None:
    """Warn of a hedge in a pool with a single endpoint, at the pool and at routes that lead to it."""
    for pool, settings in names.pools.items():
        if isinstance(settings, dict):
            _check_hedge(reader, names, ("pools", pool), settings, pool)
    for index, route in names.routes:
        if route.get("to") in names.pools:
            _check_hedge(reader, names, ("routes", index), route, route["to"])


def _check_hedge(reader: Reader, names: Names, trail: Trail, settings: dict[str, Any], pool: str) -> None:
    if isinstance(settings.get("hedge"), dict) and _endpoints(names, pool) == 1:
        reader.warn((*trail, "hedge"), "has no effect: the pool has a single endpoint, and a hedge asks a second one")


def _endpoints(names: Names, pool: str) -> int:
    """Count a pool's endpoints as if every key were set: each member, with each URL and each key of its provider."""
    count = 0
    for _, model in members_of(names.pools[pool]):
        provider = names.providers.get(names.provider_of(model) or "")
        several = [provider.get(key) for key in ("urls", "keys")] if isinstance(provider, dict) else []
        of_member = 1
        for one in several:
            of_member *= len(one) if isinstance(one, list) else 1
        count += of_member
    return count


_ABOUT: Final = "A second endpoint asked where the first is silent for long; `none`: never."

HEDGE: Final = Setting(
    key="hedge",
    about=_ABOUT,
    schema=mapping_or_none(
        {
            "quantile": ref("share", "of the first tokens' times: who takes longer is hedged", default="95%"),
            "share": ref("share", "of the pool's requests that may be hedged", default="5%"),
            "after": ref("positive_duration", "silence that counts as long before there is evidence", default="2s"),
        },
        _ABOUT,
    ),
    levels=("defaults", "pool", "route"),
    spec=HedgeSpec,
    checks=(check_hedges,),
)

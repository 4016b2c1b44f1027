"""Pools: that what is said of their members, their queue and their hedges has an effect."""

from typing import Any, Final

from gateway.config.names import Names, members_of
from gateway.config.nodes import Trail, name
from gateway.config.read import Reader, one_of

BY_WEIGHT: Final = ("weighted", "least_inflight", "p2c", "cheapest", "consistent_hash")
"""The strategies that ask for a member's weight; a test holds them to it."""


def check_effects(reader: Reader, names: Names) -> None:
    """Warn of what is sound and does nothing."""
    for pool, settings in names.pools.items():
        if isinstance(settings, dict):
            trail: Trail = ("pools", pool)
            _balance(reader, names, trail, settings)
            _queue(reader, names, trail, settings)
            _hedge(reader, names, trail, settings, pool)
    for index, route in names.routes:
        if route.get("to") in names.pools:
            _hedge(reader, names, ("routes", index), route, route["to"])


def _balance(reader: Reader, names: Names, trail: Trail, settings: dict[str, Any]) -> None:
    balance = settings.get("balance", names.defaults.get("balance", "in_order"))
    if not isinstance(balance, str):
        return
    if balance not in BY_WEIGHT:
        for index, _ in members_of(settings):
            member = settings["members"][index]
            if isinstance(member, dict) and member.get("weight", 1) != 1:
                said = f"has no effect: balance is {balance}, and weights count in {one_of(BY_WEIGHT)}"
                reader.warn((*trail, "members", index, "weight"), said)
                break
    if "hash_by" in settings and "sticky" in settings:
        if settings["hash_by"] != settings["sticky"]:
            said = f"has no effect: sticky keeps requests together by {settings['sticky']} already; give one of them"
            reader.warn((*trail, "hash_by"), said)
    elif "hash_by" in settings and balance != "consistent_hash":
        reader.warn((*trail, "hash_by"), f"has no effect: balance is {balance}, and it is for consistent_hash")


def _queue(reader: Reader, names: Names, trail: Trail, settings: dict[str, Any]) -> None:
    if not isinstance(settings.get("queue"), dict):
        return
    if settings.get("max_inflight", names.defaults.get("max_inflight")) is not None:
        return
    for index, model in members_of(settings):
        provider = names.providers.get(names.provider_of(model) or "")
        levels = (settings["members"][index], names.models.get(model), provider)
        if all(not isinstance(one, dict) or one.get("max_inflight") is None for one in levels):
            said = (
                f"would never fill: neither the pool nor its member {name(model)} has a max_inflight; give the pool one"
            )
            reader.warn((*trail, "queue"), said)
            return


def _hedge(reader: Reader, names: Names, trail: Trail, settings: dict[str, Any], pool: str) -> None:
    if isinstance(settings.get("hedge"), dict) and _endpoints(names, pool) == 1:
        reader.warn((*trail, "hedge"), "has no effect: the pool has a single endpoint, and a hedge asks a second one")


def _endpoints(names: Names, pool: str) -> int:
    """Count a pool's endpoints as if every key were set: each member, with each URL and each key of its provider."""
    count = 0
    for _, model in members_of(names.pools[pool]):
        provider = names.providers.get(names.provider_of(model) or "")
        several = [provider.get(key) for key in ("urls", "keys")] if isinstance(provider, dict) else []
        ways = 1
        for one in several:
            ways *= len(one) if isinstance(one, list) else 1
        count += ways
    return count

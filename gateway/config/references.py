"""Models and pools: that what they name exists, costs something known, and can answer."""

from collections.abc import Mapping, Set
from typing import Any

from gateway.config.names import REQUESTED, Names
from gateway.config.nodes import Trail, name
from gateway.config.read import Reader, one_of
from gateway.config.secrets import referred
from gateway.core.kinds import ProviderKind


def judge_providers(reader: Reader, names: Names) -> None:
    """Warn of every provider that is off."""
    for provider in names.providers:
        if names.is_off(provider):
            trail = ("providers", provider, "key")
            written = reader.scalar(trail)
            source = referred(written.text) if written is not None else ""
            reader.warn(
                trail, f"provider {name(provider)} is off: its key is empty" + (f" ({source})" if source else "")
            )


def judge_models(reader: Reader, names: Names, kinds: Mapping[str, ProviderKind], priced: Set[str]) -> None:
    """Each model: its provider, its price, the settings of its provider's kind."""
    for model, settings in names.models.items():
        trail: Trail = ("models", model)
        if model == REQUESTED or model in names.pools:
            what = f"{name(REQUESTED)} means the model asked for" if model == REQUESTED else "a pool has this name"
            reader.complain(trail, f"{what}; pools and models share their names, so give another", at_key=True)
        if not isinstance(settings, dict):
            continue
        names.refer(reader, (*trail, "provider"), settings.get("provider"), ("providers",))
        if (
            "price" not in settings
            and "models" not in names.broken
            and not any("price" in at for at in reader.problems if at[:2] == trail)
        ):
            hint = "; builtin:prices knows it: include that" if model in priced else ""
            said = "has no price; give price: {input: …, output: …} in US dollars per million tokens, 0 if it costs nothing"
            reader.complain(trail, said + hint, at_key=True)
        if "*" in model and "id" in settings:
            reader.complain((*trail, "id"), "a family of models has no id: each name is sent on as it was asked for")
        _of_its_kind(reader, names, trail, settings, kinds)


def judge_pools(reader: Reader, names: Names) -> None:
    """Each pool: members that are single models, a `then` that ends."""
    for pool, settings in names.pools.items():
        trail: Trail = ("pools", pool)
        if pool == REQUESTED:
            reader.complain(trail, f"{name(REQUESTED)} means the model asked for; give another name", at_key=True)
        if not isinstance(settings, dict):
            continue
        members = settings.get("members")
        for index, member in enumerate(members if isinstance(members, list) else []):
            inner = (*trail, "members", index)
            if member in names.pools and member not in names.models:
                reader.complain(inner, f"{name(member)} is a pool; members are models, and pools follow in `then`")
            elif names.refer(reader, inner, member, ("models",)):
                single(reader, names, inner, member)
        if "then" in settings and names.refer(reader, (*trail, "then"), settings["then"], ("pools", "models")):
            single(reader, names, (*trail, "then"), settings["then"])
    _cycles(reader, names)


def judge_life(reader: Reader, names: Names) -> None:
    """Every pool must have a live member, or lead to one; after `judge_pools`."""
    for pool in names.pools:
        asked = _chain(names, pool)
        if asked is None or any(names.is_live(model) for model in asked):
            continue
        off = sorted({str(names.provider_of(model)) for model in asked})
        reader.complain(
            ("pools", pool), f"no member can answer: {_are_off(off)}; set a key, or give `then`", at_key=True
        )
    for index, route in names.routes:
        to = route.get("to")
        if isinstance(to, str) and to in names.models and not names.is_live(to):
            said = f"model {name(to)} can't answer: {_are_off([str(names.provider_of(to))])}; set the key, or send to a pool"
            reader.complain(("routes", index, "to"), said)


def single(reader: Reader, names: Names, trail: Trail, word: str) -> None:
    """Refuse a family of models where one model is meant."""
    if word in names.models and "*" in word:
        reader.complain(trail, f"{name(word)} is a family of models; only `to: {REQUESTED}` leads to one of a family")


def _of_its_kind(
    reader: Reader, names: Names, trail: Trail, settings: dict[str, Any], kinds: Mapping[str, ProviderKind]
) -> None:
    provider = names.providers.get(settings.get("provider", ""))
    kind = provider.get("kind") if isinstance(provider, dict) else None
    if not isinstance(kind, str) or kind not in kinds:
        return
    for key in settings:
        owners = [owner.name for owner in kinds.values() if key in owner.model_settings]
        if owners and kind not in owners:
            said = f"belongs to models of the kind {one_of(owners)}; provider {name(settings['provider'])} is of the kind {kind}"
            reader.complain((*trail, key), said, at_key=True)


def _cycles(reader: Reader, names: Names) -> None:
    told: set[str] = set()
    for pool in names.pools:
        chain = [pool]
        while isinstance(then := _then(names, chain[-1]), str) and then in names.pools:
            if then in chain:
                loop = chain[chain.index(then) :]
                if not told.intersection(loop):
                    told.update(loop)
                    said = f"leads back to where it began: {' → '.join((*loop, then))}"
                    reader.complain(("pools", loop[-1], "then"), said)
                break
            chain.append(then)


def _chain(names: Names, pool: str) -> list[str] | None:
    """Give every model that a request to `pool` may reach; None where something on the way is broken."""
    models: list[str] = []
    seen: set[str] = set()
    at: Any = pool
    while at is not None:
        if at in names.models:
            return [*models, at]
        settings = names.pools.get(at) if isinstance(at, str) else None
        members = settings.get("members") if isinstance(settings, dict) else None
        if at in seen or not isinstance(members, list) or any(member not in names.models for member in members):
            return None
        seen.add(at)
        models += members
        at = _then(names, at)
    return models


def _then(names: Names, pool: str) -> Any:
    settings = names.pools.get(pool)
    return settings.get("then") if isinstance(settings, dict) else None


def _are_off(providers: list[str]) -> str:
    if len(providers) == 1:
        return f"provider {name(providers[0])} is off, its key is empty"
    return f"providers {', '.join(map(name, providers))} are off, their keys are empty"

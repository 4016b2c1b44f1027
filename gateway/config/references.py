"""Models and pools: that what they name exists, costs something known, and can answer."""

from collections.abc import Mapping, Set
from typing import Any

from gateway.config.names import REQUESTED, Names, members_of
from gateway.config.nodes import Trail, name
from gateway.config.read import Reader, one_of
from gateway.core.kinds import ProviderKind


def check_models(reader: Reader, names: Names, kinds: Mapping[str, ProviderKind], priced: Set[str]) -> None:
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
        if "*" in model:
            _of_no_place(reader, names, trail, settings)
        _of_its_kind(reader, names, trail, settings, kinds)


def check_pools(reader: Reader, names: Names) -> None:
    """Each pool: members that are single models, a `then` that ends."""
    for pool, settings in names.pools.items():
        trail: Trail = ("pools", pool)
        if pool == REQUESTED:
            reader.complain(trail, f"{name(REQUESTED)} means the model asked for; give another name", at_key=True)
        if not isinstance(settings, dict):
            continue
        first: dict[str, int] = {}
        for index, member in members_of(settings):
            inner = (*trail, "members", index)
            if isinstance(settings["members"][index], dict):
                inner = (*inner, "model")
            if first.setdefault(member, index) != index:
                reader.complain(inner, f"{name(member)} is members[{first[member]}] already; give it once")
            elif member in names.pools and member not in names.models:
                reader.complain(inner, f"{name(member)} is a pool; members are models, and pools follow in `then`")
            elif names.refer(reader, inner, member, ("models",)):
                single(reader, names, inner, member)
        if "then" in settings and names.refer(reader, (*trail, "then"), settings["then"], ("pools", "models")):
            single(reader, names, (*trail, "then"), settings["then"])
    _cycles(reader, names)


def check_life(reader: Reader, names: Names) -> None:
    """Every pool must have a live member, or lead to one; after `check_pools`."""
    for pool, off in _off(names).items():
        if off is not None:
            said = f"no member can answer: {_are_off(sorted(off))}; set a key, or give `then`"
            reader.complain(("pools", pool), said, at_key=True)
    for index, route in names.routes:
        to = route.get("to")
        if isinstance(to, str) and to in names.models and not names.is_live(to):
            said = f"model {name(to)} can't answer: {_are_off([str(names.provider_of(to))])}; set the key, or send to a pool"
            reader.complain(("routes", index, "to"), said)


def single(reader: Reader, names: Names, trail: Trail, word: str) -> None:
    """Refuse a family of models where one model is meant."""
    if word in names.models and "*" in word:
        reader.complain(trail, f"{name(word)} is a family of models; only `to: {REQUESTED}` leads to one of a family")


def _of_no_place(reader: Reader, names: Names, trail: Trail, settings: dict[str, Any]) -> None:
    """Refuse a family of models where each model has an address of its own, made when the file is read."""
    provider = names.providers.get(settings.get("provider", ""))
    if not isinstance(provider, dict):
        return
    urls = provider.get("urls", [provider.get("url")])
    if isinstance(urls, list) and any(isinstance(url, str) and "{model}" in url for url in urls):
        said = f"a family of models can't be where the URL holds {{model}}, as that of provider {name(settings['provider'])}"
        reader.complain(trail, f"{said}; give each model by its name", at_key=True)


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
    done: set[str] = set()
    for pool in names.pools:
        chain: dict[str, None] = {}
        at: Any = pool
        while isinstance(at, str) and at in names.pools and at not in done and at not in chain:
            chain[at] = None
            at = _then(names, at)
        if at in chain:
            way = list(chain)
            loop = way[way.index(at) :]
            reader.complain(("pools", loop[-1], "then"), f"leads back to where it began: {' → '.join((*loop, at))}")
        done.update(chain)


def _off(names: Names) -> dict[str, frozenset[str] | None]:
    """Give, for each pool, the providers that are off on its whole `then` chain; None where somebody lives, or may."""
    found: dict[str, frozenset[str] | None] = {}
    for pool in names.pools:
        chain: dict[str, None] = {}
        at: Any = pool
        while isinstance(at, str) and at in names.pools and at not in found and at not in chain:
            chain[at] = None
            at = _then(names, at)
        if at is None:
            end: frozenset[str] | None = frozenset()
        elif at in names.models:
            end = _off_among(names, [at])
        else:
            end = found.get(at)  # None for a circle, and for what is broken
        for one in reversed(chain):
            members = _off_of_pool(names, names.pools[one])
            end = members | end if members is not None and end is not None else None
            found[one] = end
    return found


def _off_of_pool(names: Names, settings: Any) -> frozenset[str] | None:
    members = settings.get("members") if isinstance(settings, dict) else None
    models = [model for _, model in members_of(settings)]
    return _off_among(names, models) if isinstance(members, list) and len(models) == len(members) else None


def _off_among(names: Names, models: list[str]) -> frozenset[str] | None:
    """Give the providers of models that are all off; None where one lives or something is broken."""
    if any(model not in names.models or names.is_live(model) for model in models):
        return None
    return frozenset(str(names.provider_of(model)) for model in models)


def _then(names: Names, pool: str) -> Any:
    settings = names.pools.get(pool)
    return settings.get("then") if isinstance(settings, dict) else None


def _are_off(providers: list[str]) -> str:
    if len(providers) == 1:
        return f"provider {name(providers[0])} is off, its key is empty"
    return f"providers {', '.join(map(name, providers))} are off, their keys are empty"

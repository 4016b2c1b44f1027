"""`pools`: models that stand in for each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.config.definitions import PATTERN, Schema, mapping, named, ref, whole_number
from gateway.config.globs import fits
from gateway.config.names import REQUESTED, Names, are_off, members_of, patterns_of
from gateway.config.nodes import Trail, name
from gateway.config.read import Reader
from gateway.config.section import ReadContext, SchemaContext, Section
from gateway.config.settings import EMPTY_POLICY, Policy, read_policy
from gateway.config.settings.queue import cap


@dataclass(frozen=True, slots=True)
class MemberSpec:
    """One model in a pool. Members of a lower `priority` number are asked first, the others only while none of those is available."""

    model: str
    weight: int = 1  # its share where the balancer goes by weights
    priority: int = 1
    max_inflight: int | None = None  # requests at the same time, at each of its endpoints


@dataclass(frozen=True, slots=True)
class PoolSpec:
    name: str
    members: tuple[MemberSpec, ...]  # in order of preference
    then: str | None = None  # pool or model asked when no member answers
    policy: Policy = EMPTY_POLICY


def _schema(context: SchemaContext) -> Schema:
    pool = mapping(
        {
            "members": {
                "type": "array",
                "minItems": 1,
                "items": {"$ref": "#/$defs/member"},
                "description": "Models, in order of preference.",
            },
            "then": ref("model_name", "Pool or model to try when no member answers."),
            **context.at_level["pool"],
        },
        required=("members",),
    )
    return named("name", pool, "Models that stand in for each other, by name.")


def _definitions(context: SchemaContext) -> Schema:
    """Return what stands in `members`: a name, or a mapping with one."""
    settings = {
        "model": ref("model_name", "The model."),
        "weight": whole_number(1, "Its share, if `balance` uses weights."),
        "priority": whole_number(
            1, "Members with the lowest number come first; the others only while none of those is available."
        ),
        "max_inflight": cap("Requests that each of its endpoints serves at the same time."),
    }
    return {
        "member": {
            **mapping(settings, required=("model",)),
            "type": ["object", "string"],
            "pattern": PATTERN,
            "maxLength": 128,
            "title": "the name of a model, or a mapping with one",
            "examples": ["gpt-4o", {"model": "gpt-4o", "weight": 3}],
        }
    }


def _read(context: ReadContext) -> Mapping[str, Any]:
    return {
        "pools": {
            pool: PoolSpec(pool, tuple(map(_member, given["members"])), given.get("then"), read_policy(given, "pool"))
            for pool, given in context.values.get("pools", {}).items()
        }
    }


def _member(given: Any) -> MemberSpec:
    return MemberSpec(given) if isinstance(given, str) else MemberSpec(**given)


def _check(reader: Reader, names: Names) -> None:
    """Check each pool: its members are single models, and its `then` chain ends."""
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
                names.refuse_family(reader, inner, member)
        if "then" in settings and names.refer(reader, (*trail, "then"), settings["then"], ("pools", "models")):
            names.refuse_family(reader, (*trail, "then"), settings["then"])
    _check_cycles(reader, names)


def _check_cycles(reader: Reader, names: Names) -> None:
    done: set[str] = set()
    for pool in names.pools:
        chain, at = _chain(names, pool, done)
        if at in chain:
            loop = chain[chain.index(at) :]
            reader.complain(("pools", loop[-1], "then"), f"leads back to where it began: {' → '.join((*loop, at))}")
        done.update(chain)


def _chain(names: Names, pool: str, done: Any) -> tuple[list[str], Any]:
    """Return the pools from `pool` on along `then`, up to one that is `done` or comes twice, and what stands behind them."""
    chain: dict[str, None] = {}
    at: Any = pool
    while isinstance(at, str) and at in names.pools and at not in done and at not in chain:
        chain[at] = None
        settings = names.pools.get(at)
        at = settings.get("then") if isinstance(settings, dict) else None
    return list(chain), at


def _check_life(reader: Reader, names: Names) -> None:
    """Refuse a pool without a live member, unless it leads to one; after `_check`."""
    for pool, off in _off(names).items():
        if off is not None:
            message = f"no member can answer: {are_off(sorted(off))}; set a key, or give `then`"
            reader.complain(("pools", pool), message, at_key=True)


def _off(names: Names) -> dict[str, frozenset[str] | None]:
    """Return, for each pool, the providers that are off on its whole `then` chain; None where a model is live, or may be."""
    found: dict[str, frozenset[str] | None] = {}
    for pool in names.pools:
        chain, at = _chain(names, pool, found)
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
    """Return the providers of models that are all off; None where one is live or something is broken."""
    if any(model not in names.models or names.is_live(model) for model in models):
        return None
    return frozenset(str(names.provider_of(model)) for model in models)


def _warn_unused(reader: Reader, names: Names) -> None:
    """Warn of pools that no request can reach: no route leads to them, nor does the `then` of one that is reached."""
    goals = [str(route.get("to")) for _, route in names.routes]
    patterns = [p for _, route in names.routes if route.get("to") == REQUESTED for _, p in patterns_of(route)]
    reached = {pool for pool in names.pools if pool in goals or any(fits(pattern, pool) for pattern in patterns)}
    for pool in tuple(reached):
        reached.update(_chain(names, pool, ())[0])
    for pool in names.pools:
        if pool not in reached:
            reader.warn(("pools", pool), "no route leads to this pool")


POOLS: Final = Section(
    key="pools",
    schema=_schema,
    read=_read,
    checks=(_check, _check_life, _warn_unused),
    definitions=_definitions,
    is_includable=True,
)

"""`tenants`: customers, their keys, and what they may ask for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from gateway.config.definitions import Schema, mapping, named, patterns
from gateway.config.globs import fits
from gateway.config.messages import did_you_mean, path_text
from gateway.config.names import Names, patterns_of
from gateway.config.nodes import Trail
from gateway.config.read import Reader
from gateway.config.section import ReadContext, SchemaContext, Section, Values

Priority = Literal["high", "normal", "low"]


@dataclass(frozen=True, slots=True)
class TenantSpec:
    name: str
    keys: tuple[str, ...]  # lower-case hex SHA-256, without the `sha256:` prefix
    labels: Mapping[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ("*",)  # names and globs that its keys may ask for
    priority: Priority = "normal"  # in queues: requests of a higher priority are served first
    weight: int = 1  # in queues: its share beside others of the same priority


def _schema(context: SchemaContext) -> Schema:
    keys = {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"$ref": "#/$defs/key_hash"}}
    tenant = mapping(
        {
            "keys": {**keys, "description": "Hashes of its keys; `gateway keys new` makes one."},
            "labels": named("name", {"type": "string", "maxLength": 256}, "Free words for conditions."),
            "models": patterns("Names that its keys may request; default: all."),
            "priority": {
                "enum": list(get_args(Priority)),
                "default": "normal",
                "description": "In queues: requests of a higher priority are served first.",
            },
            "weight": {
                "type": "integer",
                "minimum": 1,
                "maximum": 1000,
                "default": 1,
                "description": "In queues: its share beside others of the same priority.",
            },
            **context.at_level["tenant"],
        },
        required=("keys",),
    )
    return named("name", tenant, "Customers and their keys. Without tenants, no key is required.", minProperties=1)


def _read(context: ReadContext) -> Mapping[str, Any]:
    return {"tenants": {name: _tenant(name, given) for name, given in context.values.get("tenants", {}).items()}}


def _tenant(name: str, given: Values) -> TenantSpec:
    return TenantSpec(
        name=name,
        keys=tuple(given["keys"]),
        labels=given.get("labels", {}),
        models=tuple(given.get("models", ("*",))),
        priority=given.get("priority", "normal"),
        weight=given.get("weight", 1),
    )


def _check_keys(reader: Reader, names: Names) -> None:
    """Refuse a key that two tenants have."""
    owners: dict[str, Trail] = {}
    for tenant, settings in names.tenants.items():
        keys = settings.get("keys") if isinstance(settings, dict) else None
        for index, key in enumerate(keys if isinstance(keys, list) else []):
            trail: Trail = ("tenants", tenant, "keys", index)
            if isinstance(key, str) and (first := owners.setdefault(key, trail)) != trail:
                reader.complain(trail, f"the same key as {path_text(first)}; a key belongs to one tenant")


def _check_models(reader: Reader, names: Names) -> None:
    """Refuse a name in `models` that no model, pool or route has."""
    if names.broken & {"models", "pools", "routes"}:
        return
    requestable = {*names.models, *names.pools}
    for _, route in names.routes:
        requestable.update(pattern for _, pattern in patterns_of(route))
    for tenant, settings in names.tenants.items():
        allowed = settings.get("models") if isinstance(settings, dict) else None
        for index, pattern in enumerate(allowed if isinstance(allowed, list) else []):
            if not isinstance(pattern, str) or "*" in pattern or any(fits(one, pattern) for one in requestable):
                continue
            at: Trail = ("tenants", tenant, "models", index)
            known = sorted(one for one in requestable if "*" not in one)
            message = f"nothing of the name {reader.shown(at)} can be asked for{did_you_mean(pattern, known)}"
            reader.complain(at, message)


TENANTS: Final = Section(
    key="tenants", schema=_schema, read=_read, checks=(_check_keys, _check_models), is_includable=True
)

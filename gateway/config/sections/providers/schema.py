"""The JSON Schema of `providers`.

The provider kinds bring settings of their own, by if/then on `kind`, so that a key of another kind is refused.
"""

from typing import Any, Final

from gateway.config.definitions import Schema, mapping, named, ref
from gateway.config.messages import one_of
from gateway.config.nodes import Trail
from gateway.config.section import Kinds, SchemaContext
from gateway.config.settings.health import HEALTH
from gateway.config.settings.queue import cap
from gateway.core.kinds import ProviderKind

CHILD_TAKES_NO: Final = ("url", "urls", "key", "keys", "auth", "headers", "proxy", "tls", "health")
"""Settings that make no sense where the gateway starts the server itself."""

MOST_ENDPOINTS: Final = 64
"""URLs, and keys, of one provider: each URL with each key is an endpoint of each model."""


def providers_schema(context: SchemaContext) -> Schema:
    """Return the schema of the section."""
    provider = _provider(context.kinds, context.at_level["provider"])
    return named("name", provider, "Upstream APIs and their keys, by name.", minProperties=1)


def refusal(trail: Trail, plain: Any, kinds: Kinds) -> str:
    """Return why a key of another kind is refused."""
    key = str(trail[-1])
    kind = plain["providers"][trail[1]]["kind"]
    if key in CHILD_TAKES_NO:
        return f"the kind {kind} is served by the gateway itself and takes no {key}"
    owners = [owner.name for owner in kinds.values() if key in owner.settings]
    return f"belongs to the kind {one_of(owners)}; this provider is of the kind {kind}"


def _provider(kinds: Kinds, at_level: Schema) -> Schema:
    own: Schema = {name: True for kind in kinds.values() for name in kind.settings}
    about = "; ".join(f"`{kind.name}`: {kind.summary}" for kind in kinds.values())
    return mapping(
        {
            "kind": {"enum": sorted(kinds), "description": f"What it speaks and who runs it. {about}."},
            "url": ref(
                "url",
                "Base URL, without the path of a call; `{model}` in its path is the id of each model, a query goes with every call.",
            ),
            "urls": {
                "type": "array",
                "minItems": 1,
                "maxItems": MOST_ENDPOINTS,
                "uniqueItems": True,
                "items": {"$ref": "#/$defs/url"},
                "description": "Several base URLs in place of `url`, of servers that serve the same.",
            },
            "key": ref("secret", "The key; a provider whose key is empty is off, one without `key:` needs none."),
            "keys": {
                "type": "array",
                "minItems": 1,
                "maxItems": MOST_ENDPOINTS,
                "items": {"$ref": "#/$defs/secret"},
                "description": "Several keys in place of `key`; empty ones are left out, and with none left it is off.",
            },
            "auth": {
                "enum": ["bearer", "x-api-key", "api-key"],
                "description": "The header that carries the key; else the one that the kind takes, mostly `bearer`.",
            },
            "headers": named(
                "header_name", ref("header_value", "A header sent with every request."), "Headers to send."
            ),
            "proxy": ref("proxy", "HTTP proxy to reach it through, or `none`; else as the environment says."),
            "tls": mapping(
                {
                    "ca": _pem("the authorities to trust instead of the system's"),
                    "cert": _pem("the certificate to show to the provider, then its chain"),
                    "key": _pem("that certificate's private key, not encrypted"),
                },
                "TLS to it; the provider is always verified.",
                minProperties=1,
            ),
            "max_inflight": cap("Requests that it serves at the same time, over all its models."),
            "health": ref(HEALTH.key, HEALTH.about, default="none"),
            **own,
            **at_level,
        },
        required=("kind",),
        allOf=[_only_for(kind, own) for kind in kinds.values()],
    )


def _pem(holds: str) -> Schema:
    return {"type": "string", "minLength": 1, "description": f"PEM file with {holds}; relative to this file."}


def _only_for(kind: ProviderKind, own: Schema) -> Schema:
    """Return the if/then that puts in a kind's own settings and refuses those of the others."""
    properties: Schema = {name: kind.settings.get(name, {"not": {}}) for name in own}
    if kind.is_managed:
        properties |= {key: {"not": {}} for key in CHILD_TAKES_NO}
    then: Schema = {"properties": properties}
    if not kind.is_managed and kind.default_url is None:
        then |= {"if": {"not": {"required": ["urls"]}}, "then": {"required": ["url"]}}
    return {"if": {"properties": {"kind": {"const": kind.name}}, "required": ["kind"]}, "then": then}

"""The JSON Schema of what is defined by name or in a list: providers, models, pools, routes, tenants, checks.

The provider kinds bring the settings of their own: under `providers.<name>` by if/then on `kind`, so that a key of
another kind is refused there; under `models.<name>` all of them, since a model's kind is its provider's (`references.py`
judges that).
"""

from collections.abc import Mapping
from typing import Any

from gateway.config.definitions import Schema, mapping, named, policy, ref
from gateway.core.kinds import ProviderKind

CHILD_TAKES_NO = ("url", "key", "auth", "headers", "proxy", "tls")
"""Settings that make no sense where the gateway starts the server itself."""


def provider(kinds: Mapping[str, ProviderKind]) -> Schema:
    """Give what stands under `providers.<name>`."""
    own: Schema = {name: True for kind in kinds.values() for name in kind.settings}
    about = "; ".join(f"`{kind.name}`: {kind.summary}" for kind in kinds.values())
    return mapping(
        {
            "kind": {"enum": sorted(kinds), "description": f"What it speaks and who runs it. {about}."},
            "url": ref("url", "Base URL, without the path of a call."),
            "key": ref("secret", "The key; a provider whose key is empty is off, one without `key:` needs none."),
            "auth": {
                "enum": ["bearer", "x-api-key", "api-key"],
                "default": "bearer",
                "description": "The header that carries the key.",
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
            **own,
            **policy("timeout", "breaker", "keepalive"),
        },
        required=("kind",),
        allOf=[_only_for(kind, own) for kind in kinds.values()],
    )


def _pem(holds: str) -> Schema:
    return {"type": "string", "minLength": 1, "description": f"PEM file with {holds}; relative to this file."}


def _only_for(kind: ProviderKind, own: Schema) -> Schema:
    """Give the if/then that puts in a kind's own settings and refuses those of the others."""
    properties: Schema = {name: kind.settings.get(name, {"not": {}}) for name in own}
    if kind.is_child:
        properties |= {key: {"not": {}} for key in CHILD_TAKES_NO}
    then: Schema = {"properties": properties}
    if not kind.is_child and kind.default_url is None:
        then["required"] = ["url"]
    return {"if": {"properties": {"kind": {"const": kind.name}}, "required": ["kind"]}, "then": then}


def model(kinds: Mapping[str, ProviderKind]) -> Schema:
    """Give what stands under `models.<name>`, the settings of every kind among it."""
    price = {
        "input": ref("price", "per million tokens of the prompt"),
        "output": ref("price", "per million tokens of the answer"),
        "cached_input": ref("price", "per million tokens of the prompt that the provider had cached"),
        "cache_write": ref("price", "per million tokens that the provider put into its cache"),
    }
    own: Schema = {}
    for kind in kinds.values():
        for name, schema in kind.model_settings.items():
            if own.setdefault(name, dict(schema)) != schema:
                raise ValueError(f"provider kind {kind.name!r}: another kind has a different model setting {name!r}")
    return mapping(
        {
            "provider": ref("name", "The provider that serves it."),
            "id": {
                "type": "string",
                "minLength": 1,
                "maxLength": 256,
                "description": "What the provider calls it, if not by its name here.",
            },
            "price": mapping(price, "US dollars per million tokens.", ("input", "output")),
            "quality": {
                "type": "number",
                "minimum": 0,
                "maximum": 1,
                "examples": [0.82],
                "default": 0.5,
                "description": "From 0 to 1.",
            },
            "latency": ref("duration", "Until the first token, as expected."),
            "context": ref("count", "Tokens of prompt and answer together."),
            "max_output": ref("count", "Tokens of the longest answer."),
            **own,
            **policy("timeout", "breaker", "keepalive"),
        },
        required=("provider",),
    )


def pool() -> Schema:
    """Give what stands under `pools.<name>`."""
    return mapping(
        {
            "members": {
                "type": "array",
                "minItems": 1,
                "uniqueItems": True,
                "items": {"$ref": "#/$defs/model_name"},
                "description": "Models, in order of preference.",
            },
            "then": ref("model_name", "Pool or model that is asked when no member answers."),
            **policy("timeout", "keepalive"),
        },
        required=("members",),
    )


def _patterns(description: str) -> Schema:
    return {
        "type": "array",
        "minItems": 1,
        "maxItems": 1000,
        "uniqueItems": True,
        "items": {"$ref": "#/$defs/pattern"},
        "description": description,
    }


def route() -> Schema:
    """Give what stands under `routes`."""
    return mapping(
        {
            "name": ref("name", "Shown in headers, logs and metrics."),
            "match": _patterns("Names that clients ask for; * stands for any text."),
            "when": ref("condition", "A condition in CEL over request, headers, tenant, labels and time."),
            "to": ref("model_name", "A pool, a model, or `requested`: the model that was asked for."),
            **policy("timeout", "keepalive"),
        },
        required=("name", "match", "to"),
    )


def tenant() -> Schema:
    """Give what stands under `tenants.<name>`."""
    keys = {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"$ref": "#/$defs/key_hash"}}
    return mapping(
        {
            "keys": {**keys, "description": "Hashes of its keys; `gateway keys new` makes one."},
            "labels": named("name", {"type": "string", "maxLength": 256}, "Free words for conditions."),
            "models": _patterns("Names that its keys may ask for; all, where this is not given."),
        },
        required=("keys",),
    )


def check() -> Schema:
    """Give what stands under `checks`."""

    def number(description: str, **more: Any) -> Schema:
        return {"type": "integer", "minimum": 0, "description": description, **more}

    texts = {"type": "object", "additionalProperties": {"type": "string"}}
    given = {
        "model": ref("name", "The model that is asked for."),
        "tokens": number("Of the prompt."),
        "max_tokens": number("As the client sends it."),
        "tools": number("How many are offered."),
        "images": number("How many the messages hold."),
        "stream": {"type": "boolean", "description": "Whether a stream is asked for."},
        "temperature": {"type": "number", "minimum": 0, "description": "As the client sends it."},
        "path": {
            "type": "string",
            "pattern": "^/",
            "examples": ["/v1/chat/completions"],
            "description": "The path of the call.",
        },
        "headers": {
            **texts,
            "propertyNames": {"$ref": "#/$defs/header_name"},
            "description": "Headers of the request.",
        },
        "tenant": ref("name", "Who asks; the tenant's labels come with it."),
        "hour": number("Of the day, UTC.", maximum=23),
        "weekday": number("Monday is 1, Sunday 7.", minimum=1, maximum=7),
    }
    expect = {
        "route": ref("name", "The route that takes it."),
        "pool": ref("name", "The pool that it leads to."),
        "model": ref("name", "The model that is asked first."),
        "none": {"const": True, "type": "boolean", "description": "No route takes it."},
    }
    return mapping(
        {
            "name": {"type": "string", "minLength": 1, "maxLength": 200, "description": "What it shows."},
            "given": mapping(given, "A request.", ("model",)),
            "expect": mapping(expect, "What becomes of it.", minProperties=1),
        },
        required=("name", "given", "expect"),
    )

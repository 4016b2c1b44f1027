"""The JSON Schema of what is defined by name or in a list: providers, models, pools, routes, tenants, checks.

The provider kinds bring the settings of their own: under `providers.<name>` by if/then on `kind`, so that a key of
another kind is refused there; under `models.<name>` all of them, since a model's kind is its provider's (`references.py`
judges that).
"""

from collections.abc import Mapping
from typing import Any, Final, get_args

from gateway.config.definitions import PATTERN, Schema, mapping, named, ref
from gateway.config.levels import cap, policy
from gateway.config.spec import Method, Priority
from gateway.core.kinds import ProviderKind

CHILD_TAKES_NO = ("url", "urls", "key", "keys", "auth", "headers", "proxy", "tls", "health")
"""Settings that make no sense where the gateway starts the server itself."""

OF_NAMES: Final = ("match", "to", "keepalive", "hedge", "drop_params")
OF_PATHS: Final = ("provider", "methods")
"""Settings of routes for names of models, and those of routes for paths: a route has the one kind or the other."""

MOST_ENDPOINTS: Final = 64
"""URLs, and keys, of one provider: each URL with each key is an endpoint of each model."""


def provider(kinds: Mapping[str, ProviderKind]) -> Schema:
    """Give what stands under `providers.<name>`."""
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
            "health": ref("health", "Asks it whether it lives, beside its traffic; `none`: never.", default="none"),
            **own,
            **policy("provider"),
        },
        required=("kind",),
        allOf=[_only_for(kind, own) for kind in kinds.values()],
    )


def _pem(holds: str) -> Schema:
    return {"type": "string", "minLength": 1, "description": f"PEM file with {holds}; relative to this file."}


def _only_for(kind: ProviderKind, own: Schema) -> Schema:
    """Give the if/then that puts in a kind's own settings and refuses those of the others."""
    properties: Schema = {name: kind.settings.get(name, {"not": {}}) for name in own}
    if kind.is_managed:
        properties |= {key: {"not": {}} for key in CHILD_TAKES_NO}
    then: Schema = {"properties": properties}
    if not kind.is_managed and kind.default_url is None:
        then |= {"if": {"not": {"required": ["urls"]}}, "then": {"required": ["url"]}}
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
            "max_inflight": cap("Requests that each of its endpoints serves at the same time."),
            **own,
            **policy("model"),
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
                "items": {"$ref": "#/$defs/member"},
                "description": "Models, in order of preference.",
            },
            "then": ref("model_name", "Pool or model that is asked when no member answers."),
            **policy("pool"),
        },
        required=("members",),
    )


def member() -> Schema:
    """Give what stands in `members`: a name, or a mapping with one."""

    def whole(description: str) -> Schema:
        return {"type": "integer", "minimum": 1, "maximum": 1000, "default": 1, "description": description}

    settings = {
        "model": ref("model_name", "The model."),
        "weight": whole("Its share, where `balance` goes by weights."),
        "priority": whole("Those of a lower number are asked first, the others only where none of them can be."),
        "max_inflight": cap("Requests that each of its endpoints serves at the same time."),
    }
    return {
        **mapping(settings, required=("model",)),
        "type": ["object", "string"],
        "pattern": PATTERN,
        "maxLength": 128,
        "title": "the name of a model, or a mapping with one",
        "examples": ["gpt-4o", {"model": "gpt-4o", "weight": 3}],
    }


def _patterns(description: str, of: str = "pattern") -> Schema:
    return {
        "type": "array",
        "minItems": 1,
        "maxItems": 1000,
        "uniqueItems": True,
        "items": {"$ref": f"#/$defs/{of}"},
        "description": description,
    }


def route() -> Schema:
    """Give what stands under `routes`: a route for names of models (`match`, `to`), or one for paths (`paths`, `provider`)."""
    settings = {
        "name": ref("name", "Shown in headers, logs and metrics."),
        "match": _patterns("Names that clients ask for; * stands for any text."),
        "when": ref("condition", "A condition in CEL over request, headers, tenant, labels and time."),
        "to": ref("model_name", "A pool, a model, or `requested`: the model that was asked for."),
        "paths": _patterns(
            "In place of `match`: paths that are passed through; * stands for any text, slashes too.", "path_pattern"
        ),
        "provider": ref("name", "In place of `to`: the provider that these paths are passed to."),
        "methods": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"enum": list(get_args(Method))},
            "default": ["GET", "POST", "DELETE"],
            "description": "Methods that these paths take; where GET is, HEAD is too.",
        },
        **policy("route"),
    }

    def form(required: tuple[str, ...], *refused: str) -> Schema:
        about = {key: {"description": settings[key]["description"]} for key in required}
        return {"required": list(required), "properties": {**about, **{key: {"not": {}} for key in refused}}}

    return {
        **mapping(settings, required=("name",)),
        "if": {"required": ["paths"]},
        "then": form(("paths", "provider"), *OF_NAMES),
        "else": form(("match", "to"), *OF_PATHS),
    }


def tenant() -> Schema:
    """Give what stands under `tenants.<name>`."""
    keys = {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"$ref": "#/$defs/key_hash"}}
    return mapping(
        {
            "keys": {**keys, "description": "Hashes of its keys; `gateway keys new` makes one."},
            "labels": named("name", {"type": "string", "maxLength": 256}, "Free words for conditions."),
            "models": _patterns("Names that its keys may ask for; all, where this is not given."),
            "priority": {
                "enum": list(get_args(Priority)),
                "default": "normal",
                "description": "In queues: who of a higher one waits is served first.",
            },
            "weight": {
                "type": "integer",
                "minimum": 1,
                "maximum": 1000,
                "default": 1,
                "description": "In queues: its share beside others of the same priority.",
            },
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

"""The JSON Schema (2020-12) of gateway.yaml: what editors complete and explain, and what the loader judges by.

The provider kinds bring the settings of their own: under `providers.<name>` by if/then on `kind`, so that a key of
another kind is refused there; under `models.<name>` all of them, since a model's kind is its provider's (`references.py`
judges that).
"""

import json
from collections.abc import Mapping
from typing import Any

from gateway.config.definitions import Schema, definitions, mapping, ref
from gateway.core.kinds import ProviderKind

CHILD_TAKES_NO = ("url", "key", "auth", "headers")
"""Settings that make no sense where the gateway starts the server itself."""

INCLUDABLE = ("version", "include", "providers", "models", "pools", "let", "tenants")
"""Sections that an included file may hold: what is defined by name. The rest has an order or exists once."""


def build_schema(kinds: Mapping[str, ProviderKind]) -> Schema:
    """Give the whole schema for a gateway that knows these provider kinds."""
    sections = {
        "version": {"type": "integer", "const": 1, "default": 1, "description": "The version of this language."},
        "include": {
            "type": ["array", "string"],
            "items": {"type": "string"},
            "uniqueItems": True,
            "examples": [["builtin:prices", "tenants.yaml"]],
            "description": "Files taken as part of this one, paths relative to it; `builtin:prices` brings prices and "
            "context windows of known models. An included file may hold " + ", ".join(INCLUDABLE[1:]) + ".",
        },
        "server": _server(),
        "state": mapping(
            {
                "store": {"enum": ["memory"], "default": "memory", "description": "Where limits and budgets live."},
                "dir": {
                    "type": "string",
                    "minLength": 1,
                    "default": ".gateway",
                    "description": "Where files are kept; relative to this file.",
                },
            },
            "What is kept between requests. Static: a change needs a restart.",
        ),
        "providers": _named("name", _provider(kinds), "Upstream APIs and their keys, by name.", minProperties=1),
        "models": _named("model_name", _model(kinds), "Models by the name that clients use.", minProperties=1),
        "pools": _named("name", _pool(), "Models that stand in for each other, by name."),
        "defaults": mapping(
            _policy("timeout", "breaker", "keepalive"), "Settings for every provider, model and route."
        ),
        "let": _named("identifier", ref("condition", "A named condition."), "Named conditions, to use in `when`."),
        "routes": {
            "type": "array",
            "minItems": 1,
            "items": _route(),
            "description": "In order; the first whose `match` and `when` hold takes the request.",
        },
        "tenants": _named(
            "name", _tenant(), "Customers and their keys. Without this, no key is asked for.", minProperties=1
        ),
        "observe": mapping({"log": _log()}, "What is told to the world."),
        "checks": {
            "type": "array",
            "items": _check(),
            "description": "Run at every load, as if every provider had its key; a failed one refuses the file.",
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gateway.yaml",
        "description": "Configuration of the LLM gateway.",
        **mapping(sections, required=("providers", "models", "routes")),
        "$defs": definitions(),
    }


def _named(names: str, schema: Schema, description: str, **more: Any) -> Schema:
    """Give the schema of things by name."""
    return {
        "type": "object",
        "propertyNames": {"$ref": f"#/$defs/{names}"},
        "additionalProperties": schema,
        "description": description,
        **more,
    }


def _policy(*settings: str) -> Schema:
    about = {
        "timeout": "The five clocks, each overriding the level above; `none` switches all off.",
        "breaker": "When an endpoint that fails is left alone; `none`: never.",
        "keepalive": "Comments in streams that are silent; `none`: no comments.",
    }
    return {setting: ref(setting, about[setting]) for setting in settings}


def _server() -> Schema:
    address = {"$ref": "#/$defs/address"}
    limits = {
        "body": ref("size", "Largest body of a request.", default="32MiB"),
        "head_timeout": ref("positive_duration", "Until the head of a request is complete.", default="5s"),
        "body_timeout": ref("positive_duration", "Until the body of a request is complete.", default="30s"),
        "answer": ref("size", "Largest unstreamed answer of a provider.", default="64MiB"),
        "event": ref("size", "Largest event of a stream.", default="8MiB"),
        "write_timeout": ref("positive_duration", "A client that takes nothing for so long is cut.", default="60s"),
        "in_flight": ref("count", "Requests served at the same time.", default=4096),
    }
    drain = {
        "grace": ref("duration", "How long new requests are still taken after a stop signal.", default="0s"),
        "deadline": ref("duration", "How long running requests may go on then.", default="30s"),
    }
    listen = {
        "type": ["array", "string"],
        "items": address,
        "minItems": 1,
        "uniqueItems": True,
        "default": "127.0.0.1:8000",
        "description": "host:port or unix:path, or a list of them. Static.",
    }
    admin = {
        "listen": ref("address", "host:port or unix:path. Static.", default="127.0.0.1:9000"),
        "key": ref(
            "secret",
            "The admin key; where empty, one is made at start.",
            default="",
            examples=["${GATEWAY_ADMIN_KEY:-}"],
        ),
    }
    return mapping(
        {
            "listen": listen,
            "admin": mapping(admin, "The listener for metrics, health and administration."),
            "allow_without_keys": {
                "enum": ["loopback", "everyone"],
                "default": "loopback",
                "description": "While there are no tenants: who may ask without a key.",
            },
            "watch": {"type": "boolean", "default": False, "description": "Reload when the files change."},
            "workers": {
                "type": "integer",
                "minimum": 1,
                "maximum": 1,
                "default": 1,
                "description": "Worker processes. Static.",
            },
            "drain": mapping(drain, "How the gateway stops."),
            "limits": mapping(limits, "Bounds of one request or answer."),
        },
        "Where and how to listen.",
    )


def _provider(kinds: Mapping[str, ProviderKind]) -> Schema:
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
            "headers": _named(
                "header_name", ref("header_value", "A header sent with every request."), "Headers to send."
            ),
            **own,
            **_policy("timeout", "breaker", "keepalive"),
        },
        required=("kind",),
        allOf=[_only_for(kind, own) for kind in kinds.values()],
    )


def _only_for(kind: ProviderKind, own: Schema) -> Schema:
    """Give the if/then that puts in a kind's own settings and refuses those of the others."""
    properties: Schema = {name: kind.settings.get(name, {"not": {}}) for name in own}
    if kind.is_child:
        properties |= {key: {"not": {}} for key in CHILD_TAKES_NO}
    then: Schema = {"properties": properties}
    if not kind.is_child and kind.default_url is None:
        then["required"] = ["url"]
    return {"if": {"properties": {"kind": {"const": kind.name}}, "required": ["kind"]}, "then": then}


def _model(kinds: Mapping[str, ProviderKind]) -> Schema:
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
            **_policy("timeout", "breaker", "keepalive"),
        },
        required=("provider",),
    )


def _pool() -> Schema:
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
            **_policy("timeout", "keepalive"),
        },
        required=("members",),
    )


def _patterns(description: str) -> Schema:
    return {
        "type": "array",
        "minItems": 1,
        "uniqueItems": True,
        "items": {"$ref": "#/$defs/pattern"},
        "description": description,
    }


def _route() -> Schema:
    return mapping(
        {
            "name": ref("name", "Shown in headers, logs and metrics."),
            "match": _patterns("Names that clients ask for; * stands for any text."),
            "when": ref("condition", "A condition in CEL over request, headers, tenant, labels and time."),
            "to": ref("model_name", "A pool, a model, or `requested`: the model that was asked for."),
            **_policy("timeout", "keepalive"),
        },
        required=("name", "match", "to"),
    )


def _tenant() -> Schema:
    keys = {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"$ref": "#/$defs/key_hash"}}
    return mapping(
        {
            "keys": {**keys, "description": "Hashes of its keys; `gateway keys new` makes one."},
            "labels": _named("name", {"type": "string", "maxLength": 256}, "Free words for conditions."),
            "models": _patterns("Names that its keys may ask for; all, where this is not given."),
        },
        required=("keys",),
    )


def _log() -> Schema:
    return mapping(
        {
            "format": {"enum": ["json", "text"], "default": "json", "description": "How lines look."},
            "level": {
                "enum": ["debug", "info", "warning", "error"],
                "default": "info",
                "description": "The least that is told.",
            },
        },
        "The log on standard error.",
    )


def _check() -> Schema:
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


def schema_text(kinds: Mapping[str, ProviderKind]) -> str:
    """Give the schema as the text of its file."""
    return json.dumps(build_schema(kinds), indent=2, ensure_ascii=False) + "\n"

"""The JSON Schema (2020-12) of gateway.yaml: what editors complete and explain, and what the loader judges by.

Here stand the sections that exist once; `entries.py` has those of things that are defined by name or in a list.
"""

import json
from collections.abc import Mapping

from gateway.config.definitions import Schema, definitions, mapping, named, ref
from gateway.config.entries import check, member, model, pool, provider, route, tenant
from gateway.config.levels import policies, policy
from gateway.core.kinds import ProviderKind

INCLUDABLE = ("version", "include", "providers", "models", "pools", "let", "tenants")
"""Sections that an included file may hold: what is defined by name. The rest has an order or exists once."""


def build_schema(kinds: Mapping[str, ProviderKind]) -> Schema:
    """Give the whole schema for a gateway that knows these provider kinds, whatever their order."""
    kinds = dict(sorted(kinds.items()))
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
        "providers": named("name", provider(kinds), "Upstream APIs and their keys, by name.", minProperties=1),
        "models": named("model_name", model(kinds), "Models by the name that clients use.", minProperties=1),
        "pools": named("name", pool(), "Models that stand in for each other, by name."),
        "defaults": mapping(policy("defaults"), "Settings for every provider, model, pool and route."),
        "let": named("identifier", ref("condition", "A named condition."), "Named conditions, to use in `when`."),
        "routes": {
            "type": "array",
            "minItems": 1,
            "items": route(),
            "description": "In order; the first whose `match` and `when` hold takes the request.",
        },
        "tenants": named(
            "name", tenant(), "Customers and their keys. Without this, no key is asked for.", minProperties=1
        ),
        "observe": mapping({"log": _log()}, "What is told to the world."),
        "checks": {
            "type": "array",
            "items": check(),
            "description": "Run at every load, as if every provider had its key; a failed one refuses the file.",
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gateway.yaml",
        "description": "Configuration of the LLM gateway.",
        **mapping(sections, required=("providers", "models", "routes")),
        "$defs": {**definitions(), "member": member(), **policies()},
    }


def schema_text(kinds: Mapping[str, ProviderKind]) -> str:
    """Give the schema as the text of its file."""
    return json.dumps(build_schema(kinds), indent=2, ensure_ascii=False) + "\n"


def _server() -> Schema:
    limits = {
        "body": ref("size", "Largest body of a request.", default="32MiB"),
        "upload": ref("size", "Largest body that is passed through.", default="512MiB"),
        "head_timeout": ref("positive_duration", "Until the head of a request is complete.", default="5s"),
        "body_timeout": ref(
            "positive_duration",
            "Until the body of a request is complete; of one that is passed through, until its next piece.",
            default="30s",
        ),
        "answer": ref("size", "Largest unstreamed answer of a provider.", default="64MiB"),
        "event": ref("size", "Largest event of a stream.", default="8MiB"),
        "write_timeout": ref("positive_duration", "A client that takes nothing for so long is cut.", default="60s"),
        "in_flight": ref("count", "Requests that one worker serves at the same time.", default=4096),
        "loop_lag": ref("clock", "A worker that is later than this takes no new requests.", default="2s"),
    }
    drain = {
        "grace": ref("duration", "How long new requests are still taken after a stop signal.", default="0s"),
        "deadline": ref("duration", "How long running requests may go on then.", default="30s"),
    }
    listener = definitions()["listener"]
    listen = {
        **{key: listener[key] for key in ("properties", "additionalProperties", "required")},
        "type": ["array", "object", "string"],
        "items": {"$ref": "#/$defs/listener"},
        "minItems": 1,
        "uniqueItems": True,
        "default": "127.0.0.1:8000",
        "description": "host:port or unix:path, alone or with more about it, or a list of them. Static but for "
        "certificates.",
    }
    admin = {
        "listen": ref("listener", "One listener, as above. Static but for its certificate.", default="127.0.0.1:9000"),
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
            "cors": {
                "type": ["array", "string"],
                "items": {"$ref": "#/$defs/origin"},
                "uniqueItems": True,
                "description": 'Origins whose pages may ask from a browser; "*": all. Static.',
            },
            "workers": ref("workers", "Worker processes; `auto`: one for each usable CPU. Static.", default=1),
            "drain": mapping(drain, "How the gateway stops."),
            "limits": mapping(limits, "Bounds of one request or answer."),
        },
        "Where and how to listen.",
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

"""The JSON Schema of `server`."""

from gateway.config.definitions import Schema, definitions, mapping, ref
from gateway.config.section import SchemaContext


def server_schema(context: SchemaContext) -> Schema:
    """Return the schema of the section."""
    return mapping(
        {
            "listen": _listen(),
            "admin": mapping(_admin(), "The listener for metrics, health and administration."),
            "allow_without_keys": {
                "enum": ["loopback", "everyone"],
                "default": "loopback",
                "description": "Without tenants: which clients may send requests without a key.",
            },
            "watch": {"type": "boolean", "default": False, "description": "Reload when the files change."},
            "cors": {
                "type": ["array", "string"],
                "items": {"$ref": "#/$defs/origin"},
                "uniqueItems": True,
                "description": 'Origins whose pages may send requests from a browser; "*": all. Static.',
            },
            "workers": ref("workers", "Worker processes; `auto`: one for each usable CPU. Static.", default=1),
            "drain": mapping(_drain(), "How the gateway stops."),
            "limits": mapping(_limits(), "Bounds of one request or answer."),
        },
        "Where and how to listen.",
    )


def _listen() -> Schema:
    listener = definitions()["listener"]
    return {
        **{key: listener[key] for key in ("properties", "additionalProperties", "required")},
        "type": ["array", "object", "string"],
        "items": {"$ref": "#/$defs/listener"},
        "minItems": 1,
        "uniqueItems": True,
        "default": "127.0.0.1:8000",
        "description": "host:port or unix:path, alone or as a mapping with more settings, or a list of them. Static but for "
        "certificates.",
    }


def _admin() -> Schema:
    return {
        "listen": ref("listener", "One listener, as above. Static but for its certificate.", default="127.0.0.1:9000"),
        "key": ref(
            "secret",
            "The admin key; where empty, one is made at start.",
            default="",
            examples=["${GATEWAY_ADMIN_KEY:-}"],
        ),
    }


def _drain() -> Schema:
    return {
        "grace": ref("duration", "How long new requests are accepted after a stop signal.", default="0s"),
        "deadline": ref("duration", "How long running requests may continue after that.", default="30s"),
    }


def _limits() -> Schema:
    return {
        "body": ref("size", "Largest body of a request.", default="32MiB"),
        "bodies": ref(
            "size",
            "All bodies of requests that one worker holds; the last quarter is for bodies up to 1MiB.",
            default="256MiB",
        ),
        "names": ref("count", "Names in the JSON of a body over 64KiB, in all its objects together.", default="50k"),
        "values": ref(
            "count",
            "Values in the JSON of a body over 64KiB: items, members, and the lists and objects themselves.",
            default="320k",
        ),
        "upload": ref("size", "Largest body that is passed through.", default="512MiB"),
        "head_timeout": ref("positive_duration", "Until the head of a request is complete.", default="5s"),
        "body_timeout": ref(
            "positive_duration",
            "Until the body of a request is complete; of one that is passed through, until its next piece.",
            default="30s",
        ),
        "answer": ref("size", "Largest unstreamed answer of a provider.", default="64MiB"),
        "event": ref("size", "Largest event of a stream.", default="8MiB"),
        "write_timeout": ref(
            "positive_duration", "A client that reads nothing for so long is disconnected.", default="60s"
        ),
        "in_flight": ref("count", "Requests that one worker serves at the same time.", default=4096),
        "loop_lag": ref("clock", "A worker whose event loop is later than this accepts no new requests.", default="2s"),
    }

"""The `$defs` of the JSON Schema that are units and names.

A definition's `title` and `examples` word the error where a value does not fit: "must be <title>, such as <examples>".
Definitions named in `units.READERS` are read by the reader of that name.
"""

from typing import Any

from gateway.config import units

Schema = dict[str, Any]

NAME = r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$"
PATTERN = r"^(?=.*[A-Za-z0-9*])[A-Za-z0-9*._:/@+-]+$"
PATH_PATTERN = r"^/v1(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~:@!$'()+,=*-]+)+$"
IDENTIFIER = r"^[a-zA-Z_][a-zA-Z0-9_]*$"
HEADER_NAME = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"

HIDDEN = frozenset({"secret", "key_hash", "header_value", "proxy"})
"""Definitions whose values no message shows."""


def mapping(properties: Schema, description: str = "", required: tuple[str, ...] = (), **more: Any) -> Schema:
    """Return the schema of a mapping with these keys and no others."""
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False, **more}
    if description:
        schema["description"] = description
    if required:
        schema["required"] = list(required)
    return schema


def ref(definition: str, description: str, **more: Any) -> Schema:
    """Return a reference to one of the definitions below, with what it means here."""
    return {"$ref": f"#/$defs/{definition}", "description": description, **more}


def mapping_or_none(properties: Schema, description: str) -> Schema:
    """Return the schema of a mapping with these keys, or the word `none` in its place."""
    title = f'a mapping ({", ".join(properties)}), or "none"'
    return {**mapping(properties, description), "type": ["object", "string"], "pattern": "^none$", "title": title}


def whole_number(default: int, description: str) -> Schema:
    """Return the schema of a number from 1 to 1000."""
    return {"type": "integer", "minimum": 1, "maximum": 1000, "default": default, "description": description}


def patterns(description: str, of: str = "pattern") -> Schema:
    """Return the schema of a list of different patterns; `of`: the definition that each must fit."""
    return {
        "type": "array",
        "minItems": 1,
        "maxItems": 1000,
        "uniqueItems": True,
        "items": {"$ref": f"#/$defs/{of}"},
        "description": description,
    }


def named(names: str, schema: Schema, description: str, **more: Any) -> Schema:
    """Return the schema of things by name; `names`: the definition that their names must fit."""
    return {
        "type": "object",
        "propertyNames": {"$ref": f"#/$defs/{names}"},
        "additionalProperties": schema,
        "description": description,
        **more,
    }


def definitions() -> Schema:
    """Return the `$defs` of units and names; settings and sections bring the others."""
    return {**_units(), **_names()}


def _units() -> Schema:
    def text(pattern: str, title: str, examples: list[Any], **more: Any) -> Schema:
        return {"type": "string", "pattern": pattern, "title": title, "examples": examples, **more}

    durations = ["500ms", "30s", "5m", "1h"]
    return {
        "duration": text(units.DURATION, "a duration", durations),
        "positive_duration": text(units.DURATION, "a duration of more than 0", durations),
        "clock": text(units.CLOCK, "a duration of more than 0, or none", [*durations, "none"]),
        "size": text(units.SIZE, "a size", ["512KiB", "32MiB", "1GiB"]),
        "count": {**text(units.COUNT, "a count", [500, "128k", "2M"]), "type": ["integer", "string"], "minimum": 1},
        "workers": {
            **text("^auto$", "a number of processes, or auto", [2, "auto"]),
            "type": ["integer", "string"],
            "minimum": 1,
            "maximum": units.MOST_WORKERS,
        },
        "share": text(units.SHARE, "a percentage", ["20%", "0.5%"]),
        "rate": text(units.RATE, "a rate", ["50/s", "600/min", "100/60s"]),
        "price": {
            "type": "number",
            "minimum": 0,
            "maximum": units.DEAREST_USD,
            "title": "US dollars per million tokens",
            "examples": [2.5, 0.15],
        },
        "request_price": {
            "type": "number",
            "minimum": 0,
            "maximum": units.DEAREST_REQUEST_USD,
            "title": "US dollars per request",
            "examples": [0.01],
        },
        "key_hash": text(units.KEY_HASH, "the SHA-256 of a client's key", [f"sha256:{'0123456789abcdef' * 4}"]),
        "secret": {"type": "string", "title": "a key", "examples": ["${OPENAI_API_KEY:-}", "${file:/run/secrets/key}"]},
        "address": {"type": "string", "title": "an address", "examples": ["127.0.0.1:8000", "unix:/run/gateway.sock"]},
        "proxy": {
            "type": "string",
            "maxLength": 2048,
            "title": "the URL of an HTTP proxy, or none",
            "examples": ["http://proxy.example:3128", "none"],
        },
        "mode": text(units.MODE, "the permissions of a file", ["0660", "0600"]),
        "owner": text(units.OWNER, "a user, a group or both", ["gateway:www-data", ":www-data"], maxLength=128),
        "origin": text(units.ORIGIN, 'an origin, or "*"', ["https://app.example", "http://localhost:3000"]),
        "listener": _listener(),
    }


def _listener() -> Schema:
    def file(description: str, example: str) -> Schema:
        return {"type": "string", "minLength": 1, "examples": [example], "description": description}

    tls = {
        "cert": file("File with the certificate, then its chain, in PEM; relative to this file.", "tls/tls.crt"),
        "key": file("File with its private key, in PEM and not encrypted; relative to this file.", "tls/tls.key"),
    }
    settings = {
        "address": ref("address", "host:port or unix:path."),
        "tls": mapping(tls, "Speak TLS (1.2 or later). The files are read again at every reload.", ("cert", "key")),
        "mode": ref("mode", "Permissions of a Unix socket; else as the umask has it."),
        "owner": ref("owner", "Owner of a Unix socket: user, user:group or :group."),
    }
    return {
        **mapping(settings, required=("address",)),
        "type": ["object", "string"],
        "title": "an address, or a mapping with one",
        "examples": ["127.0.0.1:8000", "unix:/run/gateway.sock", {"address": "unix:/run/gateway.sock", "mode": "0660"}],
    }


def _names() -> Schema:
    def text(pattern: str, title: str, examples: list[str], length: int = 128) -> Schema:
        return {"type": "string", "pattern": pattern, "maxLength": length, "title": title, "examples": examples}

    return {
        "name": text(NAME, "a name of letters, digits and . _ : / @ + -", ["gpt-4o", "strong"]),
        "pattern": text(PATTERN, "a name, or a pattern in which * stands for any text", ["auto", "gpt-*"]),
        "model_name": text(PATTERN, "a name, or for a family of models a pattern with *", ["gpt-4o", "gpt-*"]),
        "path_pattern": text(
            PATH_PATTERN, "a path below /v1/, in which * stands for any text", ["/v1/files", "/v1/images/*"], 256
        ),
        "identifier": text(IDENTIFIER, "a name of letters, digits and _", ["agentic"], 64),
        "header_name": text(HEADER_NAME, "the name of a header", ["x-team"]),
        "header_value": {"type": "string", "maxLength": 4096, "title": "the value of a header"},
        "condition": {
            "type": "string",
            "minLength": 1,
            "title": "a condition in CEL; quote it",
            "examples": ["request.tools > 0 || request.images > 0", 'headers["x-team"] == "search"'],
        },
        "url": {
            "type": "string",
            "pattern": r"^(?:https?://|\$\{)",
            "maxLength": 2048,
            "title": "an http:// or https:// URL",
            "examples": ["https://api.openai.com/v1", "http://127.0.0.1:11434/v1"],
        },
    }

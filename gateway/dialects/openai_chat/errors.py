"""Errors of OpenAI's APIs: the gateway's own, and those of providers."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from gateway.core.errors import GatewayError
from gateway.core.provider_error import TOO_LONG, ProviderError, read_provider_error

_TOO_LONG: Final = ("maximum context length", "context", "prompt is too long")
"""Words of a message by which clients and libraries recognize a prompt that is too long; others read the code."""

_TYPES: Final[Mapping[int, str]] = MappingProxyType(
    {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
)


def encode_error(error: GatewayError) -> bytes:
    """Return an error in OpenAI's format."""
    shape = {"message": error.message, "type": error.type, "param": error.param, "code": error.error_code}
    return msgspec.json.encode({"error": shape})


def encode_error_event(error: GatewayError) -> bytes:
    """Return an error as an event of a stream; the official clients raise it."""
    return b"data: %b\n\n" % encode_error(error)


def encode_provider_error(error: ProviderError, status: int, request_id: str = "") -> bytes:
    """Return a provider's error of another dialect in OpenAI's format."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    message = error.message
    if error.code == TOO_LONG and not any(map(message.lower().__contains__, _TOO_LONG)):
        message = f"this model's {_TOO_LONG[0]} is exceeded: {message}"
    shape = {"message": message, "type": kind, "param": error.param, "code": error.code}
    return msgspec.json.encode({"error": shape})


def mark_too_long(body: bytes, status: int) -> bytes:
    """Return a provider's error about a prompt that is too long with the code by which clients recognize it."""
    error = read_provider_error(body)
    if error is None or error.code == TOO_LONG:
        return body
    document = msgspec.json.decode(body) if body.lstrip().startswith(b"{") else None
    if isinstance(document, dict) and isinstance(inner := document.get("error"), dict):
        return msgspec.json.encode(document | {"error": inner | {"code": TOO_LONG}})
    return encode_provider_error(msgspec.structs.replace(error, code=TOO_LONG), status)

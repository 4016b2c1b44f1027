"""Errors of Anthropic's API: the gateway's own, and those of providers."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from gateway.core.errors import GatewayError
from gateway.core.provider_error import TOO_LONG, ProviderError, read_provider_error

_TYPES: Final[Mapping[int, str]] = MappingProxyType(
    {
        401: "authentication_error",
        402: "billing_error",
        403: "permission_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        503: "overloaded_error",
        504: "timeout_error",
        529: "overloaded_error",
    }
)
_TOO_LONG: Final = ("prompt is too long", "input length and `max_tokens` exceed context limit")


def encode_error(error: GatewayError) -> bytes:
    """Return an error in Anthropic's format, which has no member for its code."""
    message = _worded(error.message) if error.error_code == TOO_LONG else error.message
    return _encode(error.http_status, message, error.request_id)


def encode_error_event(error: GatewayError) -> bytes:
    """Return an error as an event of a stream; the official clients raise it."""
    return b"event: error\ndata: %b\n\n" % encode_error(error)


def encode_provider_error(error: ProviderError, status: int, request_id: str = "") -> bytes:
    """Return a provider's error of another dialect in Anthropic's format."""
    return _encode(status, _worded(error.message) if error.code == TOO_LONG else error.message, request_id)


def mark_too_long(body: bytes, status: int) -> bytes:
    """Return a provider's error about a prompt that is too long with the words by which clients recognize it."""
    error = read_provider_error(body)
    if error is None or error.message.startswith(_TOO_LONG):
        return body
    document = msgspec.json.decode(body) if body.lstrip().startswith(b"{") else None
    if isinstance(document, dict) and isinstance(inner := document.get("error"), dict):
        return msgspec.json.encode(document | {"error": inner | {"message": _worded(error.message)}})
    return _encode(status, _worded(error.message), "")


def error_type(status: int) -> str:
    """Return Anthropic's error type for a status."""
    return _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")


def _worded(message: str) -> str:
    """Return the message of a prompt that is too long with the words that clients search for: the format has no code."""
    return message if message.startswith(_TOO_LONG) else f"{_TOO_LONG[0]}: {message}"


def _encode(status: int, message: str, request_id: str) -> bytes:
    document = {"type": "error", "error": {"type": error_type(status), "message": message}}
    return msgspec.json.encode(document | {"request_id": request_id} if request_id else document)

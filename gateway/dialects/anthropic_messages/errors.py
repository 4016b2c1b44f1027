"""Errors of Anthropic's API: the gateway's own, and those of providers."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from gateway.core.errors import GatewayError
from gateway.dialects.base import TOO_LONG, ProviderError

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


class _Error(msgspec.Struct):
    message: str = ""
    type: str | None = None


class _ErrorBody(msgspec.Struct):
    error: _Error


_decode_error = msgspec.json.Decoder(_ErrorBody).decode


def encode_error(error: GatewayError) -> bytes:
    """Return an error in Anthropic's format, which has no member for its code."""
    shape = {"type": error_type(error.http_status), "message": error.message}
    return msgspec.json.encode({"type": "error", "error": shape})


def encode_error_event(error: GatewayError) -> bytes:
    """Return an error as an event of a stream; the official clients raise it."""
    return b"event: error\ndata: %b\n\n" % encode_error(error)


def read_provider_error(body: bytes) -> ProviderError | None:
    """Return the error in a body; None if the body holds none."""
    try:
        error = _decode_error(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return ProviderError(error.message, error.type, TOO_LONG if error.message.startswith(_TOO_LONG) else None)


def encode_provider_error(error: ProviderError, status: int) -> bytes:
    """Return a provider's error of another dialect in Anthropic's format."""
    message = error.message
    if error.code == TOO_LONG and not message.startswith(_TOO_LONG):
        message = f"{_TOO_LONG[0]}: {message}"
    return msgspec.json.encode({"type": "error", "error": {"type": error_type(status), "message": message}})


def error_type(status: int) -> str:
    """Return Anthropic's error type for a status."""
    return _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")

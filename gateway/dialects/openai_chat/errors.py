"""Errors of OpenAI's APIs: the gateway's own, and those of providers."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from gateway.core.errors import GatewayError
from gateway.dialects.base import TOO_LONG, ProviderError

_TOO_LONG: Final = ("exceed_context_size_error",)  # as `type` of servers whose codes are numbers
_TYPES: Final[Mapping[int, str]] = MappingProxyType(
    {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
)


class _Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    param: str | None = None
    code: str | int | None = None


class _ErrorBody(msgspec.Struct):
    error: _Error | str | None = None
    message: str | None = None


_decode_error = msgspec.json.Decoder(_ErrorBody).decode


def encode_error(error: GatewayError) -> bytes:
    """Return an error in OpenAI's format."""
    shape = {"message": error.message, "type": error.type, "param": error.param, "code": error.error_code}
    return msgspec.json.encode({"error": shape})


def encode_error_event(error: GatewayError) -> bytes:
    """Return an error as an event of a stream; the official clients raise it."""
    return b"data: %b\n\n" % encode_error(error)


def read_provider_error(body: bytes) -> ProviderError | None:
    """Return the error in a body; None if the body holds none."""
    try:
        found = _decode_error(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(found.error, _Error):
        error = found.error
        code = TOO_LONG if error.type in _TOO_LONG else None if error.code is None else str(error.code)
        return ProviderError(error.message or "", error.type, code, error.param)
    message = found.error or found.message
    return None if message is None else ProviderError(message)


def encode_provider_error(error: ProviderError, status: int) -> bytes:
    """Return a provider's error of another dialect in OpenAI's format."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    shape = {"message": error.message, "type": kind, "param": error.param, "code": error.code}
    return msgspec.json.encode({"error": shape})

"""Errors in streams of OpenAI's responses; other errors have the format of chat completions."""

import msgspec

from gateway.core.conversation import Failure
from gateway.core.errors import GatewayError


def encode_error_event(error: GatewayError) -> bytes:
    """Return an error as an event of a stream; the official clients raise it.

    The number of the previous event is unknown here; clients do not need one to read an error.
    """
    return _event(error.message, error.type, error.error_code, error.param)


def encode_failure(failure: Failure) -> bytes:
    """Return a provider's error as an event."""
    kind = failure.type or "server_error"
    return _event(failure.message, kind, failure.code or kind, None)


def _event(message: str, kind: str, code: str | None, param: str | None) -> bytes:
    shape = {"type": kind, "message": message, "param": param, "code": code}
    event = {"type": "error", "sequence_number": 0, "code": code, "message": message}
    return b"event: error\ndata: %b\n\n" % msgspec.json.encode({**event, "param": param, "error": shape})

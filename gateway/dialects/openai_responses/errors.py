"""Errors in streams of OpenAI's responses; other errors have the format of chat completions."""

import msgspec

from gateway.core.errors import GatewayError


def encode_error_event(error: GatewayError) -> bytes:
    """Return an error as an event of a stream; the official clients raise it.

    The number of the previous event is unknown here; clients do not need one to read an error.
    """
    shape = {"type": error.type, "message": error.message, "param": error.param, "code": error.error_code}
    event = {"type": "error", "sequence_number": 0, "code": error.error_code, "message": error.message}
    return b"event: error\ndata: %b\n\n" % msgspec.json.encode({**event, "param": error.param, "error": shape})

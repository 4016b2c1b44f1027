"""Errors in streams of OpenAI's responses; elsewhere they are those of chat completions."""

import msgspec

from gateway.core.errors import GatewayError


def encode_error_event(error: GatewayError) -> bytes:
    """Give an error as an event of a stream; the official clients raise it.

    The number of the event before is not known here; who reads an error has no use for one.
    """
    shape = {"type": error.type, "message": error.message, "param": error.param, "code": error.error_code}
    event = {"type": "error", "sequence_number": 0, "code": error.error_code, "message": error.message}
    return b"event: error\ndata: %b\n\n" % msgspec.json.encode({**event, "param": error.param, "error": shape})

"""Token counts of Anthropic's messages: https://docs.anthropic.com/en/api/messages-count-tokens

A separate dialect: its requests are those of messages, its answers hold a number. It can't be translated; if no provider can
count, the gateway answers with an estimate.
"""

from typing import Final

import msgspec

from gateway.core.chat import ChatRequest
from gateway.core.errors import ProtocolError, Unavailable
from gateway.core.exchange import Meter
from gateway.core.usage import Usage
from gateway.dialects.anthropic_messages import request_in
from gateway.dialects.anthropic_messages.errors import encode_error, encode_error_event
from gateway.dialects.json_shape import DEFAULT_BOUNDS, Bounds
from gateway.dialects.request_body import replace_model as encode_request
from gateway.streaming.relay import Codec

NAME: Final = "anthropic_token_count"
PATH: Final = "/v1/messages/count_tokens"
VENDOR: Final = "anthropic"

__all__ = [
    "NAME",
    "PATH",
    "VENDOR",
    "decode_request",
    "encode_error",
    "encode_error_event",
    "encode_estimate",
    "encode_request",
    "read_answer",
    "read_stream",
]


class _Document(msgspec.Struct):
    input_tokens: int | None = None
    type: str | None = None


_decode_document = msgspec.json.Decoder(_Document).decode


def decode_request(raw: bytes, bounds: Bounds = DEFAULT_BOUNDS) -> ChatRequest:
    """Return the facts of a request body. Raises `InvalidRequest`, which names the field in `param`."""
    request = request_in.decode_request(raw, bounds)
    return msgspec.structs.replace(request, path=PATH, stream=False)  # a count is not streamed


def read_answer(body: bytes) -> Usage:
    """Return the usage of an answer with status 200, which is zero: counting is free.

    Raises `ProtocolError` if it is no count, `Unavailable` if it is an error.
    """
    try:
        document = _decode_document(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProtocolError("the provider's answer is not a count of tokens") from None
    if document.type == "error":
        raise Unavailable("the provider answered 200 with an error in it")
    if document.input_tokens is None:
        raise ProtocolError("the provider's answer is not a count of tokens")
    return Usage()


def read_stream(meter: Meter, *, hides_usage: bool, choices: int) -> Codec:
    """Raise `ProtocolError`. Never called: no request asks for a stream."""
    raise ProtocolError("counts of tokens are not streamed")


def encode_estimate(tokens: int) -> bytes:
    """Return the gateway's own answer."""
    return msgspec.json.encode({"input_tokens": tokens})

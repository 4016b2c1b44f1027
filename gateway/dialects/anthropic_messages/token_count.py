"""How many tokens a message would have: https://docs.anthropic.com/en/api/messages-count-tokens

A dialect of its own, whose requests are those of messages and whose answers hold a number. It can't be translated; where no
provider can be asked, the gateway answers with an estimate.
"""

from typing import Final

import msgspec

from gateway.core.chat import ChatRequest
from gateway.core.errors import ProtocolError, Unavailable
from gateway.core.exchange import Meter
from gateway.core.usage import Usage
from gateway.dialects import anthropic_messages
from gateway.streaming.relay import Codec

NAME: Final = "anthropic_token_count"
PATH: Final = "/v1/messages/count_tokens"
VENDOR: Final = anthropic_messages.VENDOR


class _Document(msgspec.Struct):
    input_tokens: int | None = None
    type: str | None = None


_decode_document = msgspec.json.Decoder(_Document).decode


def decode_request(raw: bytes) -> ChatRequest:
    """Check a request body and give the facts in it. Raises `InvalidRequest` naming the field in `param`."""
    request = anthropic_messages.decode_request(raw)
    return msgspec.structs.replace(request, path=PATH, stream=False)  # there is nothing to stream


encode_request = anthropic_messages.encode_request
encode_error = anthropic_messages.encode_error
encode_error_event = anthropic_messages.encode_error_event


def read_answer(body: bytes) -> Usage:
    """Check an answer that came with status 200, and give what was used: to count costs nothing.

    Raises `ProtocolError` where it is no count, `Unavailable` where it is an error in disguise.
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
    """Never called: no request is one for a stream."""
    raise ProtocolError("counts of tokens are not streamed")


def encode_estimate(tokens: int) -> bytes:
    """Give the answer of the gateway's own."""
    return msgspec.json.encode({"input_tokens": tokens})

"""Anthropic's messages: https://docs.anthropic.com/en/api/messages

Read `request_in.py` first. Where client and provider both speak the dialect, bytes pass unchanged except for the model's name;
every answer reports its usage to the client.
"""

from typing import Final

from gateway.dialects.anthropic_messages.answer import decode_answer, encode_answer, read_answer
from gateway.dialects.anthropic_messages.conversation_in import PARAMS, to_conversation
from gateway.dialects.anthropic_messages.decoder import Decoder as open_decoder
from gateway.dialects.anthropic_messages.encoder import Encoder as open_encoder
from gateway.dialects.anthropic_messages.errors import (
    encode_error,
    encode_error_event,
    encode_provider_error,
    mark_too_long,
)
from gateway.dialects.anthropic_messages.observer import MessageStreamObserver as read_stream
from gateway.dialects.anthropic_messages.request_in import PATH, decode_request
from gateway.dialects.anthropic_messages.request_out import from_conversation
from gateway.dialects.request_body import replace_model as encode_request

NAME: Final = "anthropic_messages"
VENDOR: Final = "anthropic"
NEEDS_MAX_TOKENS: Final = True

__all__ = [
    "NAME",
    "NEEDS_MAX_TOKENS",
    "PARAMS",
    "PATH",
    "VENDOR",
    "decode_answer",
    "decode_request",
    "encode_answer",
    "encode_error",
    "encode_error_event",
    "encode_provider_error",
    "encode_request",
    "from_conversation",
    "mark_too_long",
    "open_decoder",
    "open_encoder",
    "read_answer",
    "read_stream",
    "to_conversation",
]

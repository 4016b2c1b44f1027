"""OpenAI's chat completions: https://platform.openai.com/docs/api-reference/chat

Read `request_in.py` first. Where client and provider both speak the dialect, bytes pass unchanged except for what must differ.
"""

from typing import Final

from gateway.dialects.openai_chat.answer import decode_answer, encode_answer, read_answer
from gateway.dialects.openai_chat.conversation_in import PARAMS, to_conversation
from gateway.dialects.openai_chat.decoder import Decoder as open_decoder
from gateway.dialects.openai_chat.encoder import Encoder as open_encoder
from gateway.dialects.openai_chat.errors import (
    encode_error,
    encode_error_event,
    encode_provider_error,
    mark_too_long,
)
from gateway.dialects.openai_chat.observer import ChatStreamObserver as read_stream
from gateway.dialects.openai_chat.request_in import PATH, decode_request
from gateway.dialects.openai_chat.request_out import encode_request, from_conversation

NAME: Final = "openai_chat"
VENDOR: Final = "openai"
NEEDS_MAX_TOKENS: Final = False

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

"""OpenAI's completions, the API before chats: https://platform.openai.com/docs/api-reference/completions

Its streams end, report usage and fail like those of chat completions, so bytes pass by the same rules. In other dialects a
prompt is one turn of a user.
"""

from typing import Final

from gateway.dialects.openai_chat.answer import read_answer
from gateway.dialects.openai_chat.errors import (
    encode_error,
    encode_error_event,
    encode_provider_error,
    mark_too_long,
)
from gateway.dialects.openai_chat.request_out import encode_request
from gateway.dialects.openai_completions.answer import decode_answer, encode_answer
from gateway.dialects.openai_completions.conversation_in import PARAMS, to_conversation
from gateway.dialects.openai_completions.decoder import Decoder as open_decoder
from gateway.dialects.openai_completions.encoder import Encoder as open_encoder
from gateway.dialects.openai_completions.observer import CompletionStreamObserver as read_stream
from gateway.dialects.openai_completions.request_in import PATH, decode_request
from gateway.dialects.openai_completions.request_out import from_conversation

NAME: Final = "openai_completions"
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

"""OpenAI's responses: https://platform.openai.com/docs/api-reference/responses

Read `request_in.py` first. Where client and provider both speak the dialect, bytes pass unchanged except for the model's name;
every answer reports its usage to the client. State at the provider (earlier responses, conversations, files) and tools that the
provider runs pass with the rest.
"""

from typing import Final

from gateway.dialects.openai_chat.errors import encode_error, encode_provider_error, mark_too_long
from gateway.dialects.openai_responses.answer import decode_answer, encode_answer, read_answer
from gateway.dialects.openai_responses.conversation_in import PARAMS, to_conversation
from gateway.dialects.openai_responses.decoder import Decoder as open_decoder
from gateway.dialects.openai_responses.encoder import Encoder as open_encoder
from gateway.dialects.openai_responses.errors import encode_error_event
from gateway.dialects.openai_responses.observer import ResponseStreamObserver as read_stream
from gateway.dialects.openai_responses.request_in import PATH, decode_request
from gateway.dialects.openai_responses.request_out import from_conversation
from gateway.dialects.request_body import replace_model as encode_request

NAME: Final = "openai_responses"
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

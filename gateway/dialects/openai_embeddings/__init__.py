"""OpenAI's embeddings: https://platform.openai.com/docs/api-reference/embeddings

One request, one answer, no streams, and no counterpart in other dialects: only a provider that speaks the dialect can answer.
`batch.py` joins several requests into one call and splits its answer.
"""

from typing import Final

from gateway.dialects.openai_chat.errors import encode_error, encode_error_event
from gateway.dialects.openai_embeddings.answer import read_answer, read_stream
from gateway.dialects.openai_embeddings.request_in import PATH, decode_request
from gateway.dialects.request_body import replace_model as encode_request

NAME: Final = "openai_embeddings"
VENDOR: Final = "openai"

__all__ = [
    "NAME",
    "PATH",
    "VENDOR",
    "decode_request",
    "encode_error",
    "encode_error_event",
    "encode_request",
    "read_answer",
    "read_stream",
]

"""Answers of OpenAI's embeddings."""

from typing import NoReturn

import msgspec
from msgspec import Raw

from gateway.core import usage as core_usage
from gateway.core.errors import ProtocolError, Unavailable
from gateway.core.exchange import Meter
from gateway.dialects.openai_chat.usage import Usage, read_usage


class _Document(msgspec.Struct):
    data: list[Raw] | None = None
    usage: Usage | None = None
    error: Raw = Raw(b"null")


_decode_document = msgspec.json.Decoder(_Document).decode


def read_answer(body: bytes) -> core_usage.Usage | None:
    """Return the usage in an answer with status 200.

    Raises `ProtocolError` if it holds no embeddings, `Unavailable` if it is an error.
    """
    try:
        document = _decode_document(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProtocolError("the provider's answer holds no embeddings") from None
    if document.data is None:
        if bytes(document.error) != b"null":
            raise Unavailable("the provider answered 200 with an error in it")
        raise ProtocolError("the provider's answer holds no embeddings")
    return read_usage(document.usage)


def read_stream(meter: Meter, *, hides_usage: bool, choices: int) -> NoReturn:
    """Raise `ProtocolError`. Never called: no request asks for a stream."""
    raise ProtocolError("embeddings are not streamed")

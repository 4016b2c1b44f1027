"""Answers, and the usage in them."""

import pytest

from gateway.core.errors import ProtocolError, Unavailable
from gateway.core.exchange import Meter
from gateway.core.usage import Usage
from gateway.dialects.openai_embeddings import read_answer, read_stream


def test_usage_is_read() -> None:
    body = b'{"object":"list","data":[],"model":"m","usage":{"prompt_tokens":8,"total_tokens":8}}'
    assert read_answer(body) == Usage(input=8)
    assert read_answer(b'{"data":[]}') is None


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"data":{}}', b'{"object":"list"}', b'{"data":null}', b"\xff"]
)
def test_what_holds_no_embeddings_is_no_answer(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_answer(body)


def test_an_error_that_came_with_200_is_one() -> None:
    with pytest.raises(Unavailable):
        read_answer(b'{"error":{"message":"overloaded"}}')


def test_there_are_no_streams() -> None:
    with pytest.raises(ProtocolError):
        read_stream(Meter(), hides_usage=True, choices=1)

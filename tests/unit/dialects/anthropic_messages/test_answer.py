"""Usage of unstreamed answers."""

import json

import pytest

from gateway.core.errors import ProtocolError, Unavailable
from gateway.core.usage import Usage
from gateway.dialects import anthropic_messages as dialect


def test_an_answer_gives_its_usage() -> None:
    body = json.dumps({"type": "message", "content": [], "usage": {"input_tokens": 3, "output_tokens": 2}}).encode()
    assert dialect.read_answer(body) == Usage(input=3, output=2)
    assert dialect.read_answer(b'{"type":"message","content":[]}') is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"type":"message"}', b'{"content":5}', b"\xff"])
def test_what_is_no_message_is_a_fault(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        dialect.read_answer(body)


def test_an_error_in_disguise_is_one() -> None:
    with pytest.raises(Unavailable):
        dialect.read_answer(b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}')

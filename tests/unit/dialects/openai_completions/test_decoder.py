"""Streams of completions as neutral events."""

import json
from typing import Any

import pytest

from gateway.core.chat import ChatRequest
from gateway.core.conversation import (
    Failure,
    StreamEvent,
)
from gateway.core.errors import ProtocolError
from gateway.dialects import openai_completions
from gateway.dialects.openai_completions import decode_request


def given_request(**fields: Any) -> ChatRequest:
    body = {"model": "m", "prompt": "x", **fields}
    return decode_request(json.dumps({name: value for name, value in body.items() if value is not ...}).encode())


def chunk(text: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "text": text, "finish_reason": finish}
    return b"data: %b\n\n" % json.dumps({"id": "c", "model": "m", "created": 7, "choices": [choice], **more}).encode()


def read(stream: bytes) -> list[StreamEvent]:
    decoder = openai_completions.open_decoder()
    return [found for event in stream.split(b"\n\n") for found in decoder.feed(event + b"\n\n")]


def test_more_of_a_text_is_read_without_being_parsed() -> None:
    decoder = openai_completions.open_decoder()
    assert decoder.string_delta(chunk("a")) is None
    decoder.feed(chunk("a"))
    decoder.feed(chunk("b"))
    assert decoder.string_delta(chunk("c")) == b'"c"' and decoder.string_delta(chunk("", "stop")) is None


def test_a_failure_is_told_and_read() -> None:
    encoder = openai_completions.open_encoder(given_request(stream=True))
    assert read(encoder.encode(Failure("x", "t", "c"))) == [Failure("x", "t", "c")]
    assert read(b'data: {"error":"x"}\n\n') == [Failure("x")]
    with pytest.raises(ProtocolError):
        read(b"data: x\n\n")

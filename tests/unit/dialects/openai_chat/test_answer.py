"""Usage of unstreamed answers."""

import json
from typing import Any

import pytest

from gateway.core.errors import ProtocolError, Unavailable
from gateway.core.usage import Usage
from gateway.dialects.openai_chat import read_answer


def answer(**fields: Any) -> bytes:
    return json.dumps({"id": "c", "choices": [{"index": 0, "message": {}}], **fields}).encode()


def test_the_usage_of_an_answer_is_split_into_disjoint_classes() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    found = read_answer(answer(usage=usage))
    assert found == Usage(input=30, cached_input=60, cache_write=10, output=15, reasoning=5)
    assert (found.total_input, found.total_output) == (100, 20)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ({}, None),
        ({"completion_tokens": 5}, None),
        ({"prompt_tokens": 5}, Usage(input=5)),
        ({"prompt_tokens": 5, "completion_tokens": None, "prompt_tokens_details": None}, Usage(input=5)),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": None}}, Usage(input=5)),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}}, Usage(input=0, cached_input=9)),
        (
            {"prompt_tokens": -5, "completion_tokens": -7, "prompt_tokens_details": {"cached_tokens": -9}},
            Usage(input=0),
        ),
    ],
)
def test_usage_is_never_negative_and_none_where_none_is_reported(usage: Any, expected: Usage | None) -> None:
    found = read_answer(answer(usage=usage))
    if usage and usage.get("prompt_tokens") == -5:
        assert found is not None and min(found.input, found.cached_input, found.cache_write, found.output) >= 0
    else:
        assert found == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"5",
        b"{}",
        b'{"choices":null}',
        b'{"choices":{}}',
        b'{"choices":',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_what_is_no_chat_completion_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_answer(body)


def test_an_error_that_came_with_200_is_no_answer() -> None:
    with pytest.raises(Unavailable):
        read_answer(b'{"error":{"message":"overloaded"}}')
    assert read_answer(answer(error=None)) is None

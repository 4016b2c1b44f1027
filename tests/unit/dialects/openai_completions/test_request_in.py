"""The facts of a request, and the checks of its shape."""

import json
from typing import Any

import pytest

from gateway.core.chat import ChatRequest
from gateway.core.errors import InvalidRequest
from gateway.dialects.openai_completions import decode_request


def given_request(**fields: Any) -> ChatRequest:
    body = {"model": "m", "prompt": "x", **fields}
    return decode_request(json.dumps({name: value for name, value in body.items() if value is not ...}).encode())


@pytest.mark.parametrize(
    ("prompt", "answers", "tokens"),
    [
        ("x" * 38, 1, 8),
        (["a" * 20, "b" * 20], 2, 11),
        ([1, 2, 3], 1, 3),
        ([[1, 2], [3], [4]], 3, 4),
        (None, 1, 1),
        (..., 1, 1),
    ],
)
def test_prompts_are_counted_in_every_shape(prompt: Any, answers: int, tokens: int) -> None:
    request = given_request(prompt=prompt)
    assert (request.n, request.tokens) == (answers, tokens)
    assert given_request(prompt=prompt, n=3).n == 3 * answers


def test_the_facts_of_a_request_are_read() -> None:
    request = given_request(stream=True, max_tokens=0, temperature=1, stream_options={"include_usage": True})
    assert (request.path, request.stream, request.max_tokens, request.temperature) == ("/v1/completions", True, 0, 1.0)
    assert request.wants_usage and request.has_stream_options and not given_request().wants_usage


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ...}, "model"),
        ({"prompt": 1}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["x", 1]}, "prompt"),
        ({"prompt": [True]}, "prompt"),
        ({"prompt": {}}, "prompt"),
        ({"n": 0}, "n"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"stream": 1}, "stream"),
        ({"stream_options": 1}, "stream_options"),
    ],
)
def test_a_request_of_another_shape_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        given_request(**fields)
    assert (caught.value.http_status, caught.value.param) == (400, param)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","prompt":"x","stream_options":{"a":1,"a":2}}',
        b'{"model":"m","prompt":"x","odd":1e999}',
        b'{"model":"m","prompt":' + b"[" * 200 + b"]" * 200 + b"}",
    ],
)
def test_what_two_readers_could_take_for_two_things_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decode_request(body)

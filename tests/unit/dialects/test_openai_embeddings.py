"""Requests for embeddings: what is taken, what is refused with which param, and what is passed on."""

import json
from typing import Any

import pytest

from gateway.core.chat import ChatRequest
from gateway.core.errors import InvalidRequest, ProtocolError, Unavailable
from gateway.core.exchange import Meter
from gateway.core.usage import Usage
from gateway.dialects import BY_NAME, BY_PATH, openai_embeddings
from gateway.dialects.openai_embeddings import decode_request, encode_request, inputs_of, read_answer, read_stream


def raw(**fields: Any) -> bytes:
    """Give a request's body, small and right but for `fields`; a field of `...` is left out."""
    body = {"model": "m", "input": "hello", **fields}
    return json.dumps({name: value for name, value in body.items() if value is not ...}).encode()


def refusal(body: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        decode_request(body)
    assert caught.value.http_status == 400
    return caught.value


def test_it_is_found_by_its_name_and_its_path() -> None:
    assert BY_NAME["openai_embeddings"] is BY_PATH["/v1/embeddings"] is openai_embeddings


# What is taken


@pytest.mark.parametrize(
    ("given", "inputs", "tokens"),
    [
        ("hello", 1, 1),
        ("x" * 400, 1, 88),
        ("", 1, 1),
        (["one", "two", "x" * 40], 3, 13),
        ([1, 2, 3], 1, 3),
        ([[1, 2, 3], [4]], 2, 4),
        ([[]], 1, 1),
        (["a"] * 2048, 2048, 2374),
    ],
)
def test_input_is_a_text_tokens_or_a_list_of_either(given: Any, inputs: int, tokens: int) -> None:
    request = decode_request(raw(input=given))
    assert len(inputs_of(request.fields["input"])) == inputs
    assert request.tokens == tokens


def test_the_facts_of_a_request_are_read() -> None:
    body = raw(encoding_format="base64", dimensions=64, user="u-1", unknown={"x": [1]}, stream=True)
    request = decode_request(body)
    expected = ChatRequest(raw=body, path="/v1/embeddings", model="m", tokens=1, fields=request.fields)
    assert request == expected  # nothing is streamed, whatever is asked


@pytest.mark.parametrize("name", ["encoding_format", "dimensions", "user"])
def test_null_is_as_good_as_nothing(name: str) -> None:
    assert decode_request(raw(**{name: None})).model == "m"


# What is refused


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"model": ...}, "model", "missing_required_parameter"),
        ({"input": ...}, "input", "missing_required_parameter"),
        ({"model": 3}, "model", "invalid_type"),
        ({"input": None}, "input", "invalid_type"),
        ({"input": 3}, "input", "invalid_type"),
        ({"input": {"text": "a"}}, "input", "invalid_type"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": ["a", 1]}, "input[1]", "invalid_type"),
        ({"input": ["a", ["b"]]}, "input[1]", "invalid_type"),
        ({"input": [1, "a"]}, "input[1]", "invalid_type"),
        ({"input": [1, 2.5]}, "input[1]", "invalid_type"),
        ({"input": [1, -2]}, "input[1]", "invalid_value"),
        ({"input": [None]}, "input[0]", "invalid_type"),
        ({"input": [[1], "a"]}, "input[1]", "invalid_type"),
        ({"input": [[1], ["a"]]}, "input[1][0]", "invalid_type"),
        ({"input": ["a"] * 2049}, "input", "invalid_value"),
        ({"encoding_format": "int8"}, "encoding_format", "invalid_value"),
        ({"dimensions": 0}, "dimensions", "invalid_value"),
        ({"dimensions": "64"}, "dimensions", "invalid_type"),
        ({"user": 7}, "user", "invalid_type"),
    ],
)
def test_a_field_that_is_wrong_is_named(fields: dict[str, Any], param: str, code: str) -> None:
    error = refusal(raw(**fields))
    assert (error.param, error.error_code) == (param, code)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"model": "m", "input": "a"',
        b'{"model": "m", "input": "a", "input": "b"}',
        b'{"model": "m", "input": "\xff"}',
        b'{"model": "m", "input": "a", "x": 1e999}',
        b'{"model": "m", "input": "a", "x": ' + b"[" * 200 + b"]" * 200 + b"}",
    ],
)
def test_what_readers_could_take_for_two_things_is_refused(body: bytes) -> None:
    refusal(body)


# What is passed on


def test_bytes_pass_untouched_where_the_name_is_the_same() -> None:
    body = b'{ "input":["a" ,"\\u00e9"], "model": "m", "odd": 1.50}'
    assert encode_request(decode_request(body), "m") == body


def test_another_name_is_put_in_and_nothing_else_changes() -> None:
    body = b'{"input":["a" ,"\\u00e9"], "model": "m", "odd": 1.50}'
    assert encode_request(decode_request(body), 'n"1') == b'{"input":["a" ,"\\u00e9"],"model":"n\\"1","odd":1.50}'


# Answers


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

"""The facts of a request, and the checks of its shape."""

import json
import sys
from typing import Any

import pytest

from gateway.core.chat import ChatRequest
from gateway.core.errors import InvalidRequest
from gateway.core.tokens import TOKENS_PER_IMAGE
from gateway.dialects.openai_chat import decode_request

MESSAGES = [{"role": "user", "content": "hello"}]


def raw(**fields: Any) -> bytes:
    """Return a small valid body with `fields`; a field of `...` is omitted."""
    body = {"model": "m", "messages": MESSAGES, **fields}
    return json.dumps({name: value for name, value in body.items() if value is not ...}).encode()


def refusal(body: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        decode_request(body)
    assert caught.value.http_status == 400
    return caught.value


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": "a"}],
        [{"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}],
        [{"role": "assistant"}],
        [{"role": "user", "content": []}],
        [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "odd", "x": {"y": [1]}}]}],
        [{"role": "anything", "content": "a", "unknown": 10**30}],
    ],
)
def test_messages_are_objects_with_a_role_and_text_nothing_or_parts(messages: list[Any]) -> None:
    assert decode_request(raw(messages=messages)).model == "m"


def test_the_facts_of_a_request_are_read() -> None:
    body = raw(
        stream=True,
        max_tokens=50,
        temperature=1,
        n=2,
        tools=[{"type": "function"}],
        functions=[{"name": "f"}],
        stream_options={"include_usage": True},
    )
    request = decode_request(body)
    assert request == ChatRequest(
        raw=body,
        path="/v1/chat/completions",
        model="m",
        stream=True,
        has_stream=True,
        max_tokens=50,
        temperature=1.0,
        n=2,
        tools=2,
        tokens=request.tokens,
        wants_usage=True,
        has_stream_options=True,
        fields=request.fields,
    )


def test_what_is_not_sent_is_told_from_what_is() -> None:
    request = decode_request(raw())
    assert (request.stream, request.has_stream, request.max_tokens, request.temperature, request.n) == (
        False,
        False,
        None,
        None,
        1,
    )
    given = decode_request(raw(stream=False, stream_options=None))
    assert (given.has_stream, given.has_stream_options, given.wants_usage) == (True, True, False)


@pytest.mark.parametrize(
    "name",
    ["stream", "max_tokens", "max_completion_tokens", "temperature", "n", "tools", "functions", "stream_options"],
)
def test_null_is_as_good_as_nothing(name: str) -> None:
    request = decode_request(raw(**{name: None}))
    assert not request.stream and request.max_tokens is None and request.n == 1 and not request.wants_usage


def test_the_newer_name_of_the_token_limit_wins() -> None:
    assert decode_request(raw(max_tokens=5, max_completion_tokens=7)).max_tokens == 7


def test_images_are_counted_and_their_bytes_are_no_text() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    request = decode_request(raw(messages=[{"role": "user", "content": [{"type": "text", "text": "a" * 40}, image]}]))
    assert request.images == 1
    assert request.tokens == 42 // 4 + TOKENS_PER_IMAGE


def test_tokens_are_estimated_from_texts_and_tools() -> None:
    assert decode_request(raw(messages=[{"role": "user"}])).tokens == 1
    long = decode_request(raw(messages=[{"role": "user", "content": "x" * 4000}] * 2)).tokens
    assert 1700 < long < 1900
    assert 800 < decode_request(raw(messages=[{"role": "user"}], tools=[{"x": "y" * 4000}])).tokens < 1000


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"model": ...}, "model", "missing_required_parameter"),
        ({"model": 5}, "model", "invalid_type"),
        ({"model": None}, "model", "invalid_type"),
        ({"messages": ...}, "messages", "missing_required_parameter"),
        ({"messages": "hi"}, "messages", "invalid_type"),
        ({"messages": None}, "messages", "invalid_type"),
        ({"messages": {}}, "messages", "invalid_type"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"n": 129}, "n", "invalid_value"),
        ({"n": 10**9}, "n", "invalid_value"),
        ({"messages": ["hi"]}, "messages[0]", "invalid_type"),
        ({"messages": [*MESSAGES, None]}, "messages[1]", "invalid_type"),
        ({"messages": [{"content": "a"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [*MESSAGES, {"role": 5}]}, "messages[1].role", "invalid_type"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_type"),
        ({"messages": [{"role": "user", "content": True}]}, "messages[0].content", "invalid_type"),
        ({"messages": [*MESSAGES, {"role": "user", "content": {}}]}, "messages[1].content", "invalid_type"),
        ({"messages": [{"role": "user", "content": ["a"]}]}, "messages[0].content[0]", "invalid_type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}, {"text": "a"}]}]},
            "messages[0].content[1].type",
            "missing_required_parameter",
        ),
        ({"messages": [{"role": "user", "content": [{"type": 1}]}]}, "messages[0].content[0].type", "invalid_type"),
        ({"stream": "true"}, "stream", "invalid_type"),
        ({"stream": 1}, "stream", "invalid_type"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_tokens": -5}, "max_tokens", "invalid_value"),
        ({"max_tokens": "5"}, "max_tokens", "invalid_type"),
        ({"max_tokens": 1.5}, "max_tokens", "invalid_type"),
        ({"max_tokens": True}, "max_tokens", "invalid_type"),
        ({"max_tokens": 10**5000}, "max_tokens", "invalid_value"),
        ({"max_completion_tokens": 0}, "max_completion_tokens", "invalid_value"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": "1"}, "n", "invalid_type"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"temperature": 10**400}, "temperature", "invalid_value"),
        ({"tools": {}}, "tools", "invalid_type"),
        ({"stream_options": 5}, "stream_options", "invalid_type"),
        ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage", "invalid_type"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], param: str, code: str) -> None:
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)  # so that the test itself can write the number
    try:
        body = raw(**fields)
    finally:
        sys.set_int_max_str_digits(limit)
    error = refusal(body)
    assert (error.param, error.error_code) == (param, code)
    assert error.message.startswith(param) and "$" not in error.message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xef\xbb\xbf" + raw(),
        raw() + b"{}",
        raw()[:-1] + b',"x":NaN}',
        raw()[:-1] + b',"x":Infinity}',
        raw()[:-1] + b',"x":01}',
        raw()[:-1] + b',"x":"\\q"}',
        raw()[:-1] + b',"x":"\n"}',
        raw()[:-1] + b",}",
        raw()[:-1] + b',"x":"\\ud800"}',
        raw()[:-1] + b',"x":"\xff"}',
        raw()[:-1] + b',"x":"\xed\xa0\x80"}',
        raw()[:-1] + b',"\xff":1}',
        raw()[:-1] + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        raw()[:-1] + b',"x":' + b'{"a":' * 100_000,
    ],
)
def test_what_is_no_json_is_refused_as_such(body: bytes) -> None:
    error = refusal(body)
    assert (error.error_code, error.param) == ("invalid_json", None)


@pytest.mark.parametrize("body", [b"[]", b"5", b'"x"', b"null", b"true"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    assert refusal(body).error_code == "invalid_type"

import json
import sys
from typing import Any

import pytest

from gateway.core.chat import ChatRequest
from gateway.core.errors import InvalidRequest, ModelNotFound, ProtocolError, Unavailable
from gateway.core.tokens import PER_IMAGE
from gateway.core.usage import Usage
from gateway.dialects import openai_chat
from gateway.dialects.openai_chat import decode_request, encode_request, read_answer

MESSAGES = [{"role": "user", "content": "hello"}]


def raw(**fields: Any) -> bytes:
    """Give a request's body, small and right but for `fields`; a field of `...` is left out."""
    body = {"model": "m", "messages": MESSAGES, **fields}
    return json.dumps({name: value for name, value in body.items() if value is not ...}).encode()


def refusal(body: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        decode_request(body)
    assert caught.value.http_status == 400
    return caught.value


# What is taken


@pytest.mark.parametrize(
    "messages",
    [
        [],
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
    assert request.tokens == 42 // 4 + PER_IMAGE


def test_tokens_are_estimated_from_texts_and_tools() -> None:
    assert decode_request(raw(messages=[])).tokens == 1
    long = decode_request(raw(messages=[{"role": "user", "content": "x" * 4000}] * 2)).tokens
    assert 1700 < long < 1900
    assert 800 < decode_request(raw(messages=[], tools=[{"x": "y" * 4000}])).tokens < 1000


# What is refused, and with which param


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


# What is sent to the provider


def encoded(body: bytes, model: str = "m") -> bytes:
    return encode_request(decode_request(body), model)


@pytest.mark.parametrize(
    "body",
    [
        raw(),
        raw(stream=False),
        raw(stream=True, stream_options={"include_usage": True}),
        b'\n{ "messages" : [ ] ,\t"model":"m", "x": 1.0e5 }\n',
    ],
)
def test_a_body_with_nothing_to_change_is_sent_as_it_came(body: bytes) -> None:
    request = decode_request(body)
    assert encode_request(request, "m") is request.raw


def test_the_models_name_is_replaced_and_nothing_else() -> None:
    body = b'{"x":1.50,"model":"m","y":[1e2,12345678901234567890123],"z":"\\u00e9\\/","messages":[ ]}'
    assert encoded(body, "other") == body.replace(b'"m"', b'"other"')


def test_the_wish_for_usage_is_put_first_into_a_stream_without_options() -> None:
    body = b' {"model":"m","messages":[],"stream":true, "x":1.0}'
    assert (
        encoded(body) == b'{"stream_options":{"include_usage":true},"model":"m","messages":[],"stream":true, "x":1.0}'
    )


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (b"null", b'{"include_usage":true}'),
        (b"{}", b'{"include_usage":true}'),
        (b'{"include_usage":false}', b'{"include_usage":true}'),
        (b'{"include_usage":null,"x":1.0}', b'{"include_usage":true,"x":1.0}'),
        (b'{"x":{"y":"\\u00e9"}}', b'{"x":{"y":"\\u00e9"},"include_usage":true}'),
    ],
)
def test_the_wish_for_usage_joins_the_options_that_the_client_sent(options: bytes, sent: bytes) -> None:
    body = b'{"model":"m","messages":[],"stream":true,"stream_options":%b}'
    assert encoded(body % options) == body % sent
    assert encoded(body % options, "o") == (body % sent).replace(b'"m"', b'"o"')


def test_options_of_an_unstreamed_request_are_left_alone() -> None:
    assert encoded(raw(stream_options={"include_usage": False})) == raw(stream_options={"include_usage": False})


@pytest.mark.parametrize(
    "body",
    [
        b'{"metadata":{"model":"keep"},"model":"m","messages":[]}',
        b'{"model":"m","messages":[{"role":"user","content":"\\"model\\": \\"keep\\""}]}',
        b'{"messages":[{"role":"user","content":"model"}],"model":"m","tools":[{"model":"keep"}]}',
        b'{"mod\\u0065l":"m","messages":[],"x":{"model":"keep"}}',
        b'{"model":"\\u006d","messages":[]}',
        b'{"model":"m","messages":[],"Model":"keep","models":"keep"}',
    ],
)
def test_the_model_of_the_request_is_found_however_it_is_spelled(body: bytes) -> None:
    before, after = json.loads(body), json.loads(encoded(body, 'o"\\é'))
    assert after == before | {"model": 'o"\\é'}
    assert encoded(body, "other").count(b'"other"') == 1


def test_a_body_nested_as_deep_as_is_taken_is_sent_as_it_came() -> None:
    body = raw(stream=True)[:-1] + b',"x":' + b"[" * 127 + b"]" * 127 + b"}"
    assert b"[" * 127 in encoded(body, "other")


# Answers


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


# Errors


def test_errors_have_the_shape_that_the_clients_know() -> None:
    error = ModelNotFound('there is no "m"', param="model")
    body = openai_chat.encode_error(error)
    assert json.loads(body) == {
        "error": {
            "message": 'there is no "m"',
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }
    }
    event = openai_chat.encode_error_event(ModelNotFound("line\nbreak\r\n\u2028"))
    assert event.startswith(b"data: {") and event.endswith(b"}\n\n")
    assert event.count(b"\n") == 2 and b"\r" not in event

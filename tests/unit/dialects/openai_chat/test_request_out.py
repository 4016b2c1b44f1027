"""Requests for a provider that speaks the dialect."""

import json
from typing import Any

import pytest

from gateway.dialects.openai_chat import decode_request, encode_request

MESSAGES = [{"role": "user", "content": "hello"}]


def raw(**fields: Any) -> bytes:
    """Return a small valid body with `fields`; a field of `...` is omitted."""
    body = {"model": "m", "messages": MESSAGES, **fields}
    return json.dumps({name: value for name, value in body.items() if value is not ...}).encode()


def encoded(body: bytes, model: str = "m") -> bytes:
    return encode_request(decode_request(body), model)


@pytest.mark.parametrize(
    "body",
    [
        raw(),
        raw(stream=False),
        raw(stream=True, stream_options={"include_usage": True}),
        b'\n{ "messages" : [ {"role":"user"} ] ,\t"model":"m", "x": 1.0e5 }\n',
    ],
)
def test_a_body_with_nothing_to_change_is_sent_as_it_came(body: bytes) -> None:
    request = decode_request(body)
    assert encode_request(request, "m") is request.raw


def test_the_models_name_is_replaced_and_nothing_else() -> None:
    body = b'{"x":1.50,"model":"m","y":[1e2,12345678901234567890123],"z":"\\u00e9\\/","messages":[ {"role":"user"} ]}'
    assert encoded(body, "other") == body.replace(b'"m"', b'"other"')


def test_the_wish_for_usage_is_put_first_into_a_stream_without_options() -> None:
    body = b' {"model":"m","messages":[{"role":"user"}],"stream":true, "x":1.0}'
    assert (
        encoded(body)
        == b'{"stream_options":{"include_usage":true},"model":"m","messages":[{"role":"user"}],"stream":true, "x":1.0}'
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
    body = b'{"model":"m","messages":[{"role":"user"}],"stream":true,"stream_options":%b}'
    assert encoded(body % options) == body % sent
    assert encoded(body % options, "o") == (body % sent).replace(b'"m"', b'"o"')


def test_options_of_an_unstreamed_request_are_left_alone() -> None:
    assert encoded(raw(stream_options={"include_usage": False})) == raw(stream_options={"include_usage": False})


@pytest.mark.parametrize(
    "body",
    [
        b'{"metadata":{"model":"keep"},"model":"m","messages":[{"role":"user"}]}',
        b'{"model":"m","messages":[{"role":"user","content":"\\"model\\": \\"keep\\""}]}',
        b'{"messages":[{"role":"user","content":"model"}],"model":"m","tools":[{"model":"keep"}]}',
        b'{"mod\\u0065l":"m","messages":[{"role":"user"}],"x":{"model":"keep"}}',
        b'{"model":"\\u006d","messages":[{"role":"user"}]}',
        b'{"model":"m","messages":[{"role":"user"}],"Model":"keep","models":"keep"}',
    ],
)
def test_the_model_of_the_request_is_found_however_it_is_spelled(body: bytes) -> None:
    before, after = json.loads(body), json.loads(encoded(body, 'o"\\é'))
    assert after == before | {"model": 'o"\\é'}
    assert encoded(body, "other").count(b'"other"') == 1


def test_a_body_nested_as_deep_as_is_taken_is_sent_as_it_came() -> None:
    body = raw(stream=True)[:-1] + b',"x":' + b"[" * 127 + b"]" * 127 + b"}"
    assert b"[" * 127 in encoded(body, "other")

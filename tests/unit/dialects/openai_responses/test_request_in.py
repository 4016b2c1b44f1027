"""The facts of a request, and the checks of its shape."""

import json
from typing import Any

import pytest

from gateway.core.errors import InvalidRequest
from gateway.dialects.openai_responses import decode_request


def raw(**fields: Any) -> bytes:
    """Return a small valid body with `fields`; a field of `...` is omitted."""
    body = {"model": "m", "input": "hello", **fields}
    return json.dumps({name: value for name, value in body.items() if value is not ...}).encode()


@pytest.mark.parametrize(
    "given",
    [
        "x",
        [],
        None,
        ...,
        [{"role": "user", "content": "x"}],
        [{"type": "message", "role": "user", "content": []}],
        [{"type": "item_reference", "id": "msg_1"}],
        [{"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot"}}],
        [{"type": "anything", "unknown": 10**30}],
    ],
)
def test_input_is_a_text_or_a_list_of_items_of_any_type_or_nothing(given: Any) -> None:
    assert decode_request(raw(input=given)).model == "m"


def test_the_facts_of_a_request_are_read() -> None:
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "a" * 40}, {"type": "input_image"}]},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image"}]},
    ]
    request = decode_request(
        raw(input=items, instructions="be brief", stream=True, max_output_tokens=50, temperature=1, tools=[{"a": 1}])
    )
    assert (request.path, request.model, request.stream, request.has_stream) == ("/v1/responses", "m", True, True)
    assert (request.max_tokens, request.temperature, request.tools, request.images) == (50, 1.0, 1, 2)
    assert request.tokens == (42 + 10 + 8) // 4 + 2 * 800 and request.wants_usage and request.n == 1


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"model": ...}, "model", "missing_required_parameter"),
        ({"model": 1}, "model", "invalid_type"),
        ({"input": 1}, "input", "invalid_type"),
        ({"input": ["x"]}, "input[0]", "invalid_type"),
        ({"input": [{}]}, "input[0]", "missing_required_parameter"),
        ({"input": [{"role": "user", "content": 1}]}, "input[0].content", "invalid_type"),
        ({"input": [{"role": "user", "content": [{}]}]}, "input[0].content[0].type", "missing_required_parameter"),
        ({"instructions": 1}, "instructions", "invalid_type"),
        ({"stream": 1}, "stream", "invalid_type"),
        ({"max_output_tokens": 0}, "max_output_tokens", "invalid_value"),
        ({"temperature": "x"}, "temperature", "invalid_type"),
        ({"tools": {}}, "tools", "invalid_type"),
    ],
)
def test_a_request_of_another_shape_is_refused_by_name(fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_request(raw(**fields))
    assert (caught.value.http_status, caught.value.param, caught.value.error_code) == (400, param, code)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"model":"m","input":"\xff"}',
        b'{"model":"m","model":"n","input":"x"}',
        b'{"model":"m","input":"x","odd":1e999}',
        b'{"model":"m","input":[{"type":"x","a":' + b"[" * 200 + b"]" * 200 + b"}]}",
        b'{"model":"m","input":"x","odd":' + b"[" * 200 + b"]" * 200 + b"}",
    ],
)
def test_what_two_readers_could_take_for_two_things_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decode_request(body)

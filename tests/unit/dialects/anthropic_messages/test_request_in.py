"""The facts of a request, and the checks of its shape."""

import json
from typing import Any

import pytest

from gateway.core.errors import InvalidRequest
from gateway.dialects import anthropic_messages as dialect


def raw(**fields: Any) -> bytes:
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]} | fields
    return json.dumps(body, ensure_ascii=False).encode()


def test_the_facts_of_a_request() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 4000}}
    content = [
        {"type": "text", "text": "x" * 400},
        image,
        {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "y" * 400}, image]},
        {"type": "tool_result", "tool_use_id": "d", "content": "z" * 400},
        {"type": "tool_result", "tool_use_id": "e", "content": None},
    ]
    request = dialect.decode_request(
        raw(messages=[{"role": "user", "content": content}], stream=True, temperature=0.5, tools=[{"name": "f"}], odd=1)
    )
    assert (request.model, request.max_tokens, request.temperature, request.tools) == ("m", 9, 0.5, 1)
    assert (request.stream, request.has_stream, request.wants_usage, request.images) == (True, True, True, 2)
    assert 1900 < request.tokens < 1950, "300 of text and two images, whose bytes are no text"
    assert request.path == "/v1/messages" and "odd" in request.fields


def test_system_tools_thoughts_and_documents_count_as_text() -> None:
    long = "x" * 4000
    bare = dialect.decode_request(raw()).tokens
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": long}}
    for more in (
        {"system": long},
        {"system": [{"type": "text", "text": long}]},
        {"tools": [{"name": long}]},
        {"messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": long, "signature": ""}]}]},
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "input": {"a": long}}]}]},
        {"messages": [{"role": "user", "content": [document]}]},
    ):
        assert 800 < dialect.decode_request(raw(**more)).tokens - bare < 1000


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"model": None}, "model", "invalid_type"),
        ({"messages": "x"}, "messages", "invalid_type"),
        ({"messages": [1]}, "messages[0]", "invalid_type"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
        ({"messages": [{"content": "x"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content", "invalid_type"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type", None),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": 5}]}]},
            "messages[0].content[0].content",
            "invalid_type",
        ),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_tokens": "9"}, "max_tokens", "invalid_type"),
        ({"stream": 1}, "stream", "invalid_type"),
        ({"system": 1}, "system", "invalid_type"),
        ({"tools": {}}, "tools", "invalid_type"),
    ],
)
def test_what_has_the_wrong_shape_is_refused_by_name(fields: dict[str, Any], param: str, code: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        dialect.decode_request(raw(**fields))
    assert caught.value.param == param
    assert caught.value.error_code == (code or "missing_required_parameter")


@pytest.mark.parametrize(
    "body", [b"", b"x", raw()[:-1] + b',"model":"n"}', raw(x=[]).replace(b"[]}", b"[" * 200 + b"]" * 200 + b"}")]
)
def test_what_is_no_good_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        dialect.decode_request(body)
    assert caught.value.error_code == "invalid_json"


def test_a_count_needs_no_max_tokens() -> None:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}]}).encode()
    assert dialect.decode_request(body).max_tokens is None

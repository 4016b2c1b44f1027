"""Input items as turns."""

import json
from typing import Any

import pytest

from gateway.core.chat import ChatRequest
from gateway.core.conversation import (
    Document,
    Image,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from gateway.core.errors import InvalidRequest
from gateway.dialects import openai_responses


def given_request(**fields: Any) -> ChatRequest:
    return openai_responses.decode_request(json.dumps({"model": "m", "input": "x", **fields}).encode())


def decoded_by_client(*items: Any) -> tuple[Turn, ...]:
    return openai_responses.to_conversation(given_request(input=list(items))).turns


def refused(**fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        openai_responses.to_conversation(given_request(**fields))
    return caught.value


def test_thoughts_words_and_calls_in_a_row_are_one_turn() -> None:
    turns = decoded_by_client(
        {"type": "reasoning", "id": "rs", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"role": "assistant", "content": "a"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "1"},
        {"role": "assistant", "content": "b"},
    )
    assert turns == (
        Turn("assistant", (Thinking("hm"), Text("a"), ToolCall("c", "f", "{}"))),
        Turn("user", (ToolResult("c", (Text("1"),)),)),
        Turn("assistant", (Text("b"),)),
    )


def test_thoughts_that_hold_nothing_are_none() -> None:
    assert decoded_by_client({"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "gAAA"}) == ()


def test_files_and_images_are_read() -> None:
    url, data = "https://x.test/a.pdf", "data:application/pdf;base64,AAAA"
    parts = [
        {"type": "input_file", "file_url": url, "filename": "a"},
        {"type": "input_file", "file_data": data},
        {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "high"},
    ]
    assert decoded_by_client({"role": "user", "content": parts})[0].parts == (
        Document(url=url, title="a"),
        Document(data="AAAA", media_type="application/pdf"),
        Image(url="https://x.test/a.png", detail="high"),
    )


@pytest.mark.parametrize(
    ("item", "param", "code"),
    [
        ({"type": "message", "role": "tool", "content": "x"}, "input[0].role", "unsupported_parameter"),
        ({"type": "function_call", "name": "f"}, "input[0].call_id", "missing_required_parameter"),
        ({"type": "function_call", "call_id": "c"}, "input[0].name", "missing_required_parameter"),
        ({"type": "function_call_output", "output": "x"}, "input[0].call_id", "missing_required_parameter"),
        ({"role": "user", "content": "x", "name": 1}, "input[0]", "invalid_type"),
        ({"role": "user", "content": [{"type": "input_text", "text": 1}]}, "input[0].content[0]", "invalid_type"),
        (
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "refusal"}]},
            "input[0].output",
            "unsupported_parameter",
        ),
        (
            {"role": "system", "content": [{"type": "input_image", "image_url": "https://x"}]},
            "input[0]",
            "unsupported_parameter",
        ),
        (
            {"role": "user", "content": [{"type": "input_image", "image_url": "data:x"}]},
            "input[0].content[0]",
            "invalid_value",
        ),
        (
            {"role": "user", "content": [{"type": "input_file", "file_data": "AAAA"}]},
            "input[0].content[0]",
            "invalid_value",
        ),
    ],
)
def test_an_item_that_can_not_be_said_is_refused_by_name(item: dict[str, Any], param: str, code: str) -> None:
    error = refused(input=[item])
    assert (error.param, error.error_code, error.http_status) == (param, code, 400)


@pytest.mark.parametrize("name", ["text", "reasoning"])
def test_a_member_of_the_wrong_type_is_refused(name: str) -> None:
    assert refused(**{name: "x"}).param == name

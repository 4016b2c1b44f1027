import json
from typing import Any

import pytest

from gateway.core.conversation import (
    Conversation,
    Document,
    Image,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from gateway.core.errors import InvalidRequest
from gateway.dialects import openai_chat


def decoded_by_client(*messages: dict[str, Any], **fields: Any) -> Conversation:
    body = {"model": "m", "messages": list(messages) or [{"role": "user", "content": "x"}], **fields}
    return openai_chat.to_conversation(openai_chat.decode_request(json.dumps(body).encode()))


def test_what_is_said_is_in_turns_and_what_is_ordered_is_the_system_prompt() -> None:
    found = decoded_by_client(
        {"role": "system", "content": "a"},
        {"role": "user", "content": "hi", "name": "ann"},
        {"role": "developer", "content": [{"type": "text", "text": "b"}]},
        {"role": "assistant", "content": None, "tool_calls": [call("c", "f", "{}")], "refusal": None},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "2"}]},
    )
    assert found.system == (Text("a"), Text("b"))
    assert found.turns == (
        Turn("user", (Text("hi"),), "ann"),
        Turn("assistant", (ToolCall("c", "f", "{}"),)),
        Turn("user", (ToolResult("c", (Text("2"),)),)),
    )


def call(id: str, name: str, arguments: str | None) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_an_assistant_says_its_thoughts_before_its_words_and_its_words_before_its_calls() -> None:
    stated = {
        "role": "assistant",
        "content": [{"type": "text", "text": "x"}, {"type": "refusal", "refusal": "y"}],
        "reasoning_content": "hm",
        "tool_calls": [call("c", "f", None)],
    }
    (turn,) = decoded_by_client(stated).turns
    assert turn.parts == (Thinking("hm"), Text("x"), Refusal("y"), ToolCall("c", "f", ""))


def test_blocks_of_thinking_hold_more_than_the_text_beside_them() -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
    ]
    (turn,) = decoded_by_client(
        {"role": "assistant", "content": "", "reasoning_content": "hm", "thinking_blocks": blocks}
    ).turns
    assert turn.parts == (Thinking("hm", "s"), Thinking(data="d"), Text(""))


def test_what_servers_call_reasoning_is_a_thought() -> None:
    (turn,) = decoded_by_client({"role": "assistant", "content": "x", "reasoning": "hm", "refusal": "no"}).turns
    assert turn.parts == (Thinking("hm"), Text("x"), Refusal("no"))


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"type": "image_url", "image_url": {"url": "https://x.test/a", "detail": "low"}},
            Image(url="https://x.test/a", detail="low"),
        ),
        ({"type": "image_url", "image_url": "https://x.test/a"}, Image(url="https://x.test/a")),
        (
            {"type": "image_url", "image_url": {"url": "data:image/svg+xml;charset=utf-8;base64,AA=="}},
            Image(data="AA==", media_type="image/svg+xml"),
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
            Document(data="AA==", media_type="application/pdf", title="a.pdf"),
        ),
    ],
)
def test_pictures_and_files_are_taken_apart(part: dict[str, Any], expected: Image | Document) -> None:
    (turn,) = decoded_by_client({"role": "user", "content": [part]}).turns
    assert turn.parts == (expected,)


@pytest.mark.parametrize(
    ("message", "param", "code"),
    [
        ({"role": "tool", "content": "x"}, "messages[0].tool_call_id", "missing_required_parameter"),
        ({"role": "function", "name": "f", "content": "x"}, "messages[0].role", "unsupported_parameter"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,x"}}]},
            "messages[0].content[0]",
            "invalid_value",
        ),
        ({"role": "user", "content": [{"type": "text", "text": 5}]}, "messages[0].content[0]", "invalid_type"),
        ({"role": "user", "content": [{"type": "video"}]}, "messages[0].content[0]", "unsupported_parameter"),
        (
            {"role": "system", "content": [{"type": "image_url", "image_url": "https://x"}]},
            "messages[0]",
            "unsupported_parameter",
        ),
        (
            {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom"}]},
            "messages[0].tool_calls[0]",
            "unsupported_parameter",
        ),
        ({"role": "assistant", "tool_calls": [{"type": "x"}]}, "messages[0].tool_calls[0].id", None),
    ],
)
def test_content_that_has_no_word_is_refused_at_its_place(
    message: dict[str, Any], param: str, code: str | None
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decoded_by_client(message)
    assert (caught.value.param, caught.value.error_code) == (param, code or "missing_required_parameter")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tool_choice": 5}, "tool_choice"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        ({"stop": [1]}, "stop[0]"),
        ({"top_p": "x"}, "top_p"),
        ({"seed": 1.5}, "seed"),
    ],
)
def test_parameters_of_the_wrong_shape_are_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decoded_by_client(**fields)
    assert caught.value.param == param


def test_parameters_have_their_words() -> None:
    found = decoded_by_client(
        reasoning_effort="high", max_completion_tokens=5, user="u", seed=1, n=2, odd=1, stop=None, functions=[]
    )
    assert found.reasoning == Reasoning(effort="high")
    assert (found.max_tokens, found.user, found.seed, found.n, found.stop) == (5, "u", 1, 2, ())
    assert found.unsupported == ("odd",)

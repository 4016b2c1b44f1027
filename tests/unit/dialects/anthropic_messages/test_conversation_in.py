import json
from typing import Any

import pytest

from gateway.core.conversation import (
    Conversation,
    Document,
    Image,
    Reasoning,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from gateway.core.errors import InvalidRequest
from gateway.dialects import anthropic_messages


def decoded_by_client(*content: dict[str, Any], role: str = "user", **fields: Any) -> Conversation:
    messages = [{"role": role, "content": list(content)}]
    body = {"model": "m", "max_tokens": 5, "messages": messages, **fields}
    return anthropic_messages.to_conversation(anthropic_messages.decode_request(json.dumps(body).encode()))


def test_every_block_has_its_word() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "words"}
    found = decoded_by_client(
        {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "2"}], "is_error": True},
        {"type": "tool_result", "tool_use_id": "d"},
        {"type": "text", "text": "so", "cache_control": {"type": "ephemeral"}, "citations": None},
        {"type": "image", "source": {"type": "url", "url": "https://x"}},
        {"type": "document", "source": source, "title": "t", "citations": {"enabled": False}},
        {"type": "document", "source": {"type": "url", "url": "https://y"}},
    )
    assert found.turns[0].parts == (
        ToolResult("c", (Text("2"),), is_error=True),
        ToolResult("d", ()),
        Text("so"),
        Image(url="https://x"),
        Document(text="words", media_type="text/plain", title="t"),
        Document(url="https://y"),
    )
    assert found.unsupported == ()


def test_an_assistants_blocks_keep_their_order_and_signatures() -> None:
    found = decoded_by_client(
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "text", "text": "x"},
        {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1.50}},
        {"type": "tool_use", "id": "d", "name": "f", "input": {"_raw": "{broken"}},
        {"type": "tool_use", "id": "e", "name": "f", "input": {"_raw": "x", "more": 1}},
        role="assistant",
    )
    *stated, one, two, three = found.turns[0].parts
    assert stated == [Thinking("hm", "s"), Thinking(data="d"), Text("x")]
    assert one == ToolCall("c", "f", '{"a": 1.5}')
    assert two == ToolCall("d", "f", "{broken")
    assert isinstance(three, ToolCall) and json.loads(three.arguments) == {"_raw": "x", "more": 1}


def test_a_string_is_a_text_and_a_system_message_an_order() -> None:
    body = {
        "model": "m",
        "system": "a",
        "messages": [{"role": "user", "content": "x"}, {"role": "system", "content": "b"}],
    }
    found = anthropic_messages.to_conversation(anthropic_messages.decode_request(json.dumps(body).encode()))
    assert found.turns == (Turn("user", (Text("x"),)),) and found.system == (Text("a"), Text("b"))


@pytest.mark.parametrize(
    ("block", "param", "code"),
    [
        ({"type": "server_tool_use", "id": "x"}, "messages[0].content[0]", "unsupported_parameter"),
        ({"type": "image"}, "messages[0].content[0]", "unsupported_parameter"),
        ({"type": "text", "text": 1}, "messages[0].content[0]", "invalid_type"),
        (
            {"type": "document", "source": {"type": "content", "content": []}},
            "messages[0].content[0]",
            "unsupported_parameter",
        ),
        (
            {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "thinking", "thinking": "x"}]},
            "messages[0].content[0].content",
            "unsupported_parameter",
        ),
    ],
)
def test_content_that_has_no_word_is_refused_at_its_place(block: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decoded_by_client(block)
    assert (caught.value.param, caught.value.error_code) == (param, code)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"role": "critic"}, "messages[0].role"),
        ({"system": [{"type": "image", "source": {"type": "url", "url": "x"}}]}, "system"),
        ({"tool_choice": {"type": "some"}}, "tool_choice"),
        ({"output_config": {"format": {"type": "grammar"}}}, "output_config.format"),
        ({"thinking": {}}, "thinking.type"),
        ({"metadata": 5}, "metadata"),
    ],
)
def test_parameters_of_no_known_shape_are_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decoded_by_client({"type": "text", "text": "x"}, **fields)
    assert caught.value.param is not None and caught.value.param.startswith(param)


@pytest.mark.parametrize(
    ("fields", "lost"),
    [
        ({"anything": 1}, "anything"),
        ({"metadata": {"user_id": "u", "b": 1}}, "metadata.b"),
        ({"output_config": {"task_budget": 5}}, "output_config.task_budget"),
        ({"tools": [{"name": "f", "allowed_callers": ["code_execution_20260120"]}]}, "tools[0].allowed_callers"),
    ],
)
def test_what_has_no_word_is_named(fields: dict[str, Any], lost: str) -> None:
    assert decoded_by_client({"type": "text", "text": "x"}, **fields).unsupported == (lost,)


def test_members_of_blocks_that_have_no_word_are_named() -> None:
    found = decoded_by_client(
        {"type": "text", "text": "x", "odd": 1},
        {"type": "document", "source": {"type": "url", "url": "x"}, "citations": {"enabled": True}},
    )
    assert found.unsupported == ("messages[0].content[0].odd", "messages[0].content[1].citations")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"thinking": {"type": "disabled"}}, None),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, Reasoning(budget_tokens=2000)),
        ({"thinking": {"type": "adaptive"}}, Reasoning(is_adaptive=True)),
        ({"output_config": {"effort": "low"}}, Reasoning(effort="low")),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}, Reasoning(effort="low")),
    ],
)
def test_how_much_it_shall_think(fields: dict[str, Any], expected: Reasoning | None) -> None:
    assert decoded_by_client({"type": "text", "text": "x"}, **fields).reasoning == expected

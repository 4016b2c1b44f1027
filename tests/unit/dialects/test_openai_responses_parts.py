"""Items, thoughts, usage, answers: what the tables of docs/responses.md leave out."""

import json
from typing import Any

import pytest

from gateway.core.chat import ChatRequest
from gateway.core.conversation import (
    Completion,
    Conversation,
    Document,
    Image,
    Refusal,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from gateway.core.errors import InvalidRequest, ProtocolError, Unavailable
from gateway.core.usage import Usage
from gateway.dialects import openai_responses
from gateway.dialects.openai_responses import usage as openai_responses_usage
from gateway.dialects.openai_responses.reasoning import give_back, read_reasoning, sealed, take_item
from gateway.dialects.unsupported_params import UnsupportedParams


def asked(**fields: Any) -> ChatRequest:
    return openai_responses.decode_request(json.dumps({"model": "m", "input": "x", **fields}).encode())


def heard(*items: Any) -> tuple[Turn, ...]:
    return openai_responses.to_conversation(asked(input=list(items))).turns


def refused(**fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        openai_responses.to_conversation(asked(**fields))
    return caught.value


# Items


def test_thoughts_words_and_calls_in_a_row_are_one_turn() -> None:
    turns = heard(
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
    assert heard({"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "gAAA"}) == ()


def test_files_and_images_are_read() -> None:
    url, data = "https://x.test/a.pdf", "data:application/pdf;base64,AAAA"
    parts = [
        {"type": "input_file", "file_url": url, "filename": "a"},
        {"type": "input_file", "file_data": data},
        {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "high"},
    ]
    assert heard({"role": "user", "content": parts})[0].parts == (
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


# To a provider


def sent(*turns: Turn, **more: Any) -> Any:
    conversation = Conversation(turns=turns, **more)
    return json.loads(openai_responses.from_conversation(conversation, "m", UnsupportedParams()))


def test_what_stands_in_the_wrong_turn_is_refused() -> None:
    for turn in (Turn("user", (ToolCall("c", "f", ""),)), Turn("assistant", (Image(url="x"),))):
        with pytest.raises(InvalidRequest):
            sent(turn)


def test_a_turn_of_nothing_is_an_empty_message() -> None:
    items = sent(Turn("user", ()), Turn("assistant", ()))["input"]
    assert [(item["role"], item["content"]) for item in items] == [
        ("user", []),
        ("assistant", [{"type": "output_text", "text": "", "annotations": []}]),
    ]


def test_another_makers_thoughts_alone_leave_nothing() -> None:
    assert sent(Turn("assistant", (Thinking("hm", "sig"),)))["input"] == []


def test_a_call_without_arguments_has_an_empty_object() -> None:
    assert sent(Turn("assistant", (ToolCall("c", "f", ""),)))["input"][0]["arguments"] == "{}"


# Thoughts


def test_seals_come_back_to_who_made_them_and_to_nobody_else() -> None:
    ours = take_item("rs_1", "hm", "gAAA")
    assert ours is not None and give_back(ours) == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "gAAA",
    }
    hidden = take_item("rs_1", "", "g:A")
    assert hidden is not None and hidden.data and not hidden.text
    assert (give_back(hidden) or {})["encrypted_content"] == "g:A"
    assert give_back(Thinking("hm", "sig")) is None and give_back(Thinking("hm")) is None
    assert take_item("rs_1", "", None) is None and take_item("rs_1", "hm", None) == Thinking("hm")
    assert read_reasoning(["a", "b"], sealed("sig", "")) == Thinking("a\n\nb", "sig")
    assert read_reasoning([], sealed("", "xyz")) == Thinking(data="xyz")
    assert read_reasoning(["a"], "gAAA of OpenAI's") == Thinking("a") and sealed("", "") is None


# Usage


def test_usage_is_read_in_disjoint_classes_and_written_as_wholes() -> None:
    told = openai_responses_usage.Usage(
        100,
        50,
        openai_responses_usage._InputDetails(cached_tokens=60, cache_write_tokens=10),
        openai_responses_usage._OutputDetails(reasoning_tokens=20),
    )
    usage = openai_responses_usage.read_usage(told)
    assert usage == Usage(input=30, cached_input=60, cache_write=10, output=30, reasoning=20)
    written = openai_responses_usage.write_usage(usage)
    assert (written["input_tokens"], written["output_tokens"], written["total_tokens"]) == (100, 50, 150)
    assert openai_responses_usage.read_usage(None) is None
    assert openai_responses_usage.read_usage(openai_responses_usage.Usage()) is None


# Answers


@pytest.mark.parametrize(
    ("stop", "parts", "status", "reason"),
    [
        ("end", (Text("a"),), "completed", None),
        ("stop_sequence", (Text("a"),), "completed", None),
        ("pause", (Text("a"),), "completed", None),
        ("tool_use", (ToolCall("c", "f", ""),), "completed", None),
        ("refusal", (Refusal("no"),), "completed", None),
        ("refusal", (), "incomplete", "content_filter"),
        ("content_filter", (Text("a"),), "incomplete", "content_filter"),
        ("max_tokens", (Text("a"),), "incomplete", "max_output_tokens"),
        ("context_window", (ToolCall("c", "f", "{"),), "incomplete", "max_output_tokens"),
    ],
)
def test_an_answer_says_why_it_ended(stop: StopReason, parts: Any, status: str, reason: str | None) -> None:
    told = json.loads(openai_responses.encode_answer(Completion("i", "", parts, stop), asked()))
    assert (told["status"], (told["incomplete_details"] or {}).get("reason")) == (status, reason)
    assert told["model"] == "m", "the one that was asked, where the provider names none"
    assert [item["status"] for item in told["output"]] == [status] * len(told["output"]), "a cut call is not to be run"


def test_an_answer_is_a_row_of_items_and_repeats_what_was_asked() -> None:
    parts = (Text("a"), Refusal("no"), Thinking("hm"), Text("b"), ToolCall("c", "f", ""), Thinking(data="xyz"))
    request = asked(temperature=0.5, metadata={"a": "b"}, tools=None)
    told = json.loads(openai_responses.encode_answer(Completion("i" * 80, "m", parts, "end"), request))
    assert [item["type"] for item in told["output"]] == [
        "message",
        "reasoning",
        "message",
        "function_call",
        "reasoning",
    ]
    assert [part["type"] for part in told["output"][0]["content"]] == ["output_text", "refusal"]
    assert told["output"][3]["arguments"] == "{}" and told["output"][4]["summary"] == []
    assert len({item["id"] for item in told["output"]}) == 5
    assert all(len(item["id"]) <= 64 for item in told["output"])
    assert (told["temperature"], told["metadata"], told["tools"]) == (0.5, {"a": "b"}, [])


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ("x", ProtocolError),
        ({}, ProtocolError),
        ({"output": [], "status": "in_progress"}, ProtocolError),
        ({"output": [], "status": "failed"}, Unavailable),
        ({"output": [], "status": "cancelled"}, Unavailable),
        ({"error": {"message": "x"}}, Unavailable),
        ({"output": [{"type": "web_search_call"}]}, ProtocolError),
    ],
)
def test_what_is_no_answer_is_an_error(told: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        openai_responses.decode_answer(json.dumps(told).encode())


@pytest.mark.parametrize(
    ("reason", "stop"),
    [("max_output_tokens", "max_tokens"), ("content_filter", "content_filter"), (None, "max_tokens")],
)
def test_an_incomplete_answer_is_never_read_as_a_whole_one(reason: str | None, stop: str) -> None:
    told = {"output": [], "status": "incomplete", "incomplete_details": reason and {"reason": reason}}
    assert openai_responses.decode_answer(json.dumps(told).encode()).stop == stop


def test_an_answer_is_read_item_by_item() -> None:
    content = [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "no"}]
    items = [
        {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "g"},
        {"type": "reasoning", "id": "rs", "summary": []},
        {"type": "message", "id": "m", "content": content},
        {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{}"},
    ]
    told = {"id": "r", "model": "m", "created_at": 7.5, "status": "completed", "output": items, "service_tier": "flex"}
    seal = Thinking(data="openai-responses:rs:g")
    parts = (seal, Text("a"), Refusal("no"), ToolCall("c", "f", "{}"))
    read = openai_responses.decode_answer(json.dumps(told).encode())
    assert read == Completion("r", "m", parts, "tool_use", created=7, service_tier="flex")

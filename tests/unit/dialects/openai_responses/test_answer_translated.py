"""Unstreamed answers as neutral values, and back."""

import json
from typing import Any

import pytest

from gateway.core.chat import ChatRequest
from gateway.core.conversation import (
    Completion,
    Refusal,
    StopReason,
    Text,
    Thinking,
    ToolCall,
)
from gateway.core.errors import ProtocolError, Unavailable
from gateway.dialects import openai_responses


def given_request(**fields: Any) -> ChatRequest:
    return openai_responses.decode_request(json.dumps({"model": "m", "input": "x", **fields}).encode())


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
    reported = json.loads(openai_responses.encode_answer(Completion("i", "", parts, stop), given_request()))
    assert (reported["status"], (reported["incomplete_details"] or {}).get("reason")) == (status, reason)
    assert reported["model"] == "m", "the one that was asked, where the provider names none"
    assert [item["status"] for item in reported["output"]] == [status] * len(reported["output"]), (
        "a cut call is not to be run"
    )


def test_an_answer_is_a_row_of_items_and_repeats_what_was_asked() -> None:
    parts = (Text("a"), Refusal("no"), Thinking("hm"), Text("b"), ToolCall("c", "f", ""), Thinking(data="xyz"))
    request = given_request(temperature=0.5, metadata={"a": "b"}, tools=None)
    reported = json.loads(openai_responses.encode_answer(Completion("i" * 80, "m", parts, "end"), request))
    assert [item["type"] for item in reported["output"]] == [
        "message",
        "reasoning",
        "message",
        "function_call",
        "reasoning",
    ]
    assert [part["type"] for part in reported["output"][0]["content"]] == ["output_text", "refusal"]
    assert reported["output"][3]["arguments"] == "{}" and reported["output"][4]["summary"] == []
    assert len({item["id"] for item in reported["output"]}) == 5
    assert all(len(item["id"]) <= 64 for item in reported["output"])
    assert (reported["temperature"], reported["metadata"], reported["tools"]) == (0.5, {"a": "b"}, [])


@pytest.mark.parametrize(
    ("reported", "error"),
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
def test_what_is_no_answer_is_an_error(reported: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        openai_responses.decode_answer(json.dumps(reported).encode())


@pytest.mark.parametrize(
    ("reason", "stop"),
    [("max_output_tokens", "max_tokens"), ("content_filter", "content_filter"), (None, "max_tokens")],
)
def test_an_incomplete_answer_is_never_read_as_a_whole_one(reason: str | None, stop: str) -> None:
    reported = {"output": [], "status": "incomplete", "incomplete_details": reason and {"reason": reason}}
    assert openai_responses.decode_answer(json.dumps(reported).encode()).stop == stop


def test_an_answer_is_read_item_by_item() -> None:
    content = [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "no"}]
    items = [
        {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "g"},
        {"type": "reasoning", "id": "rs", "summary": []},
        {"type": "message", "id": "m", "content": content},
        {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{}"},
    ]
    reported = {
        "id": "r",
        "model": "m",
        "created_at": 7.5,
        "status": "completed",
        "output": items,
        "service_tier": "flex",
    }
    seal = Thinking(data="openai-responses:rs:g")
    parts = (seal, Text("a"), Refusal("no"), ToolCall("c", "f", "{}"))
    read = openai_responses.decode_answer(json.dumps(reported).encode())
    assert read == Completion("r", "m", parts, "tool_use", created=7, service_tier="flex")

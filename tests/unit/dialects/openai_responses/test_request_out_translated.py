"""Neutral requests as responses."""

import json
from typing import Any

import pytest

from gateway.core.conversation import (
    Conversation,
    Image,
    Thinking,
    ToolCall,
    Turn,
)
from gateway.core.errors import InvalidRequest
from gateway.dialects import openai_responses
from gateway.dialects.unsupported_params import UnsupportedParams


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

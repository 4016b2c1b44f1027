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
from gateway.core.usage import Usage
from gateway.dialects import openai_completions
from gateway.dialects.openai_completions import decode_request


def given_request(**fields: Any) -> ChatRequest:
    body = {"model": "m", "prompt": "x", **fields}
    return decode_request(json.dumps({name: value for name, value in body.items() if value is not ...}).encode())


@pytest.mark.parametrize(
    ("parts", "stop", "text", "reason"),
    [
        ((Text("a"), Text("b")), "end", "ab", "stop"),
        ((Thinking("hm"), Text("a")), "stop_sequence", "a", "stop"),
        ((Text("a"),), "max_tokens", "a", "length"),
        ((Text("a"),), "context_window", "a", "length"),
        ((Refusal("no"),), "refusal", "no", "stop"),
        ((), "refusal", "", "content_filter"),
        ((Text("a"),), "content_filter", "a", "content_filter"),
        ((ToolCall("c", "f", ""),), "tool_use", "", "stop"),
    ],
)
def test_an_answer_is_its_words_and_why_they_end(parts: Any, stop: StopReason, text: str, reason: str) -> None:
    reported = json.loads(openai_completions.encode_answer(Completion("i", "", parts, stop), given_request()))
    assert (reported["object"], reported["model"], reported["choices"][0]["text"]) == ("text_completion", "m", text)
    assert reported["choices"][0]["finish_reason"] == reason and "usage" not in reported
    counted = Completion("i", "", parts, stop, usage=Usage(input=5, output=2))
    assert json.loads(openai_completions.encode_answer(counted, given_request()))["usage"]["total_tokens"] == 7


def test_an_answer_is_read() -> None:
    body = b'{"id":"i","model":"m","created":7,"choices":[{"text":"a","finish_reason":"length"}],"usage":{"prompt_tokens":5}}'
    usage = Usage(input=5)
    assert openai_completions.decode_answer(body) == Completion("i", "m", (Text("a"),), "max_tokens", None, usage, 7)
    assert openai_completions.decode_answer(b'{"choices":[{"text":""}]}').parts == ()


@pytest.mark.parametrize(
    ("body", "error"), [(b"x", ProtocolError), (b"{}", ProtocolError), (b'{"error":{"message":"x"}}', Unavailable)]
)
def test_what_is_no_answer_is_an_error(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        openai_completions.decode_answer(body)

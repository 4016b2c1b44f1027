"""The text in answers of every dialect."""

import json
from typing import Any

import pytest

from gateway.dialects.output_text import text_of_document, text_of_events


def event(document: Any, name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: %b\n\n" % json.dumps(document).encode()


@pytest.mark.parametrize(
    ("document", "stated"),
    [
        ({"choices": [{"delta": {"role": "assistant", "content": "Hi"}}], "usage": None}, "Hi"),
        ({"choices": [{"delta": {"reasoning_content": "hm"}}, {"delta": {"content": "b"}}]}, "hmb"),
        ({"choices": [{"delta": {"tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": "{}"}}]}}]}, "{}"),
        ({"choices": [{"text": "old", "logprobs": {"content": [{"token": "old"}]}}]}, "old"),
        ({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}}, "Hi"),
        ({"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": '{"a'}}, '{"a'),
        ({"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "hm"}}, "hm"),
        ({"type": "content_block_delta", "delta": {"type": "signature_delta", "signature": "xyz"}}, ""),
        ({"type": "message_start", "message": {"content": [], "usage": {}}}, ""),
        ({"type": "response.output_text.delta", "delta": "Hi", "obfuscation": "abc"}, "Hi"),
        ({"type": "response.output_text.done", "text": "Hi there"}, ""),
        ({"type": "response.created", "response": {"instructions": "be nice", "output": []}}, ""),
        ({"type": "response.completed", "response": {"output": [{"text": "Hi"}]}}, ""),
        (["no", "object"], ""),
    ],
)
def test_events_say_what_their_deltas_hold(document: Any, stated: str) -> None:
    assert text_of_events(event(document)) == (stated, 1)


def test_a_block_says_what_its_events_say() -> None:
    block = event({"delta": "a"}) + b": comment\n\n" + event({"delta": "b"}, "named") + b"data: [DONE]\n\n"
    assert text_of_events(block) == ("ab", 3)


@pytest.mark.parametrize(
    ("document", "stated"),
    [
        ({"choices": [{"message": {"content": "Hi", "refusal": None}}], "usage": {"x": 1}}, "Hi"),
        (
            {"content": [{"type": "text", "text": "Hi"}, {"type": "tool_use", "name": "f", "input": {"a": 1}}]},
            'Hi{"a":1}',
        ),
        ({"instructions": "x", "tools": [{"text": "x"}], "output": [{"content": [{"text": "Hi"}]}]}, "Hi"),
    ],
)
def test_documents_say_what_their_parts_hold(document: Any, stated: str) -> None:
    assert text_of_document(json.dumps(document).encode()) == stated


@pytest.mark.parametrize(
    "data", [b"", b"no JSON", b'"\xff"', b"[" * 10_000, b'{"a":' * 400 + b'{"text":"x"}' + b"}" * 400]
)
def test_what_can_t_be_read_or_is_too_deep_says_nothing(data: bytes) -> None:
    assert text_of_document(data) == ""

"""What the simulator reads of a request."""

import json
from typing import Any

import pytest

from gateway.runtime.simulator.ask import Ask, BadAsk, read_ask


def read(**body: Any) -> Ask:
    return read_ask(json.dumps({"model": "sim", **body}).encode())


def test_the_prompt_counts_a_token_for_each_word_of_all_texts() -> None:
    parts = [{"type": "text", "text": "three more words"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": parts},
        {"role": "x", "content": None},
    ]
    assert read(messages=messages).words == 5
    assert read(messages=[]).words == 1


def test_streaming_usage_limits_and_tools_are_read() -> None:
    tools = [{"type": "function", "function": {"name": "find"}}, {"type": "function", "function": {"name": "book"}}]
    ask = read(stream=True, stream_options={"include_usage": True}, max_completion_tokens=9, max_tokens=5, tools=tools)
    assert ask == Ask("sim", stream=True, wants_usage=True, max_tokens=9, tool_names=("find", "book"))
    assert read(max_tokens=5).max_tokens == 5
    assert read(stream=None, stream_options=None, tools=None) == Ask("sim")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"messages": []}', b'{"model": 3}', b'{"model": "\xff"}', b"[" * 100_000]
)
def test_anything_else_is_refused(body: bytes) -> None:
    with pytest.raises(BadAsk, match="not a chat request"):
        read_ask(body)

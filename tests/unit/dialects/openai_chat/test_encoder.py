"""Neutral events as a stream of chat completions."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk

from gateway.core.chat import ChatRequest
from gateway.core.conversation import (
    Failure,
    Finish,
    RefusalDelta,
    Signature,
    Start,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStart,
    UsageReport,
)
from gateway.core.usage import Usage
from gateway.dialects.openai_chat.decoder import Decoder
from gateway.dialects.openai_chat.encoder import DONE, Encoder
from gateway.streaming.sse import events


def read(*stream: bytes) -> list[StreamEvent]:
    decoder = Decoder()
    return [event for one in stream for event in decoder.feed(one)]


def write(*story: StreamEvent, wants_usage: bool = False) -> list[dict[str, Any]]:
    encoder = Encoder(ChatRequest(b"", "/", "m", wants_usage=wants_usage))
    stream = b"".join(map(encoder.encode, story)) + encoder.finish()
    *chunks, done = events(stream)
    assert done == DONE
    for one in chunks:
        ChatCompletionChunk.model_validate_json(one[6:], strict=True)
    return [json.loads(one[6:]) for one in chunks]


def deltas(chunks: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [choice["delta"] for one in chunks for choice in one["choices"]]


START = Start("i", "m", 7, service_tier="default")


def test_the_official_client_reads_every_kind_of_event() -> None:
    chunks = write(
        START,
        ThinkingDelta(0, "hm"),
        TextDelta(1, "a"),
        RefusalDelta(2, "no"),
        ToolCallStart(3, "c", "f"),
        ToolCallDelta(3, "{}"),
        Finish("tool_use"),
    )
    assert deltas(chunks) == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hm"},
        {"content": "a"},
        {"refusal": "no"},
        {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
        {},
    ]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert {(one["id"], one["model"], one["created"], one["service_tier"]) for one in chunks} == {
        ("i", "m", 7, "default")
    }


def test_usage_comes_last_for_whom_asked() -> None:
    story = (
        START,
        UsageReport(Usage(input=9)),
        TextDelta(0, "a"),
        Finish("end"),
        UsageReport(Usage(input=3, output=2)),
    )
    chunks = write(*story, wants_usage=True)
    assert all(one["usage"] is None for one in chunks[:-1])
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"]["total_tokens"] == 5
    assert not any("usage" in one for one in write(*story))
    assert write(START, Finish("end"), wants_usage=True)[-1]["choices"], "nobody counted"


def test_a_call_without_arguments_gets_an_empty_object() -> None:
    for after in (TextDelta(1, "x"), ToolCallStart(1, "d", "g"), Finish("tool_use")):
        story = (START, ToolCallStart(0, "c", "f"), after)
        story = story if isinstance(after, Finish) else (*story, Finish("tool_use"))
        found = [d["tool_calls"][0] for d in deltas(write(*story)) if "tool_calls" in d]
        assert found[1] == {"index": 0, "function": {"arguments": "{}"}}


def test_signed_thoughts_come_whole_with_their_signature() -> None:
    story = (
        START,
        ThinkingDelta(0, "a"),
        Signature(0, "s"),
        ThinkingDelta(1, "b"),
        ThinkingDelta(1, "c"),
        Signature(1, "t"),
        Signature(2, "u"),
        Signature(3, data="d"),
        Finish("end"),
    )
    blocks = [block for one in deltas(write(*story)) for block in one.get("thinking_blocks", [])]
    assert blocks == [
        {"index": 0, "type": "thinking", "thinking": "a", "signature": "s"},
        {"index": 1, "type": "thinking", "thinking": "bc", "signature": "t"},
        {"index": 2, "type": "thinking", "thinking": "", "signature": "u"},
        {"index": 3, "type": "redacted_thinking", "data": "d"},
    ]


@pytest.mark.parametrize(
    ("before", "added"),
    [
        ((TextDelta(0, "a"),), {"content": 'x"'}),
        ((ThinkingDelta(0, "a"),), {"reasoning_content": 'x"'}),
        (
            (ToolCallStart(0, "c", "f"), ToolCallDelta(0, "{")),
            {"tool_calls": [{"index": 0, "function": {"arguments": 'x"'}}]},
        ),
    ],
)
def test_a_string_goes_on_with_the_part_before(before: tuple[StreamEvent, ...], added: dict[str, Any]) -> None:
    encoder = Encoder(ChatRequest(b"", "/", "m"))
    for event in (START, *before):
        encoder.encode(event)
    read = json.loads(encoder.append(b'"x\\""')[6:])
    assert read["choices"][0]["delta"] == added
    if isinstance(before[0], ThinkingDelta):
        assert b'"thinking":"ax\\""' in encoder.encode(Signature(0, "s"))


def test_a_failure_is_an_error_of_the_client() -> None:
    sent = Encoder(ChatRequest(b"", "/", "m")).encode(Failure("m", "t", "c"))
    assert json.loads(sent[6:]) == {"error": {"message": "m", "type": "t", "param": None, "code": "c"}}

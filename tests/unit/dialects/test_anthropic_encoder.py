import json
from typing import Any

import pytest
from anthropic.types import RawMessageStreamEvent
from pydantic import TypeAdapter

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
from gateway.core.errors import ProtocolError
from gateway.core.usage import Usage
from gateway.dialects.anthropic_messages.encoder import Encoder
from gateway.streaming.sse import events

EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)

START = Start("i", "m", 7)
REQUEST = ChatRequest(b"", "/", "m", tokens=11)


def write(*story: StreamEvent) -> list[dict[str, Any]]:
    encoder = Encoder(REQUEST)
    stream = b"".join(map(encoder.encode, story)) + encoder.finish()
    found = []
    for one in events(stream):
        name, _, data = one.partition(b"\ndata: ")
        assert EVENT.validate_json(data).type == name.removeprefix(b"event: ").decode()
        found.append(json.loads(data))
    return found


def told(found: list[dict[str, Any]]) -> list[str]:
    """Give each event in short."""
    short = {"message_start": "(", "message_stop": ")", "content_block_stop": "]", "message_delta": "end"}
    lines = []
    for one in found:
        if one["type"] == "content_block_start":
            lines.append(f"[{one['index']} {one['content_block']['type']}")
        elif one["type"] == "content_block_delta":
            lines.append(next(str(value) for name, value in one["delta"].items() if name != "type"))
        else:
            lines.append(short[one["type"]])
    return lines


def test_the_official_client_reads_every_kind_of_event() -> None:
    found = write(
        START,
        ThinkingDelta(0, "hm"),
        Signature(0, "s"),
        Signature(1, data="d"),
        TextDelta(2, "a"),
        TextDelta(2, "b"),
        RefusalDelta(3, "no"),
        ToolCallStart(4, "c", "f"),
        ToolCallDelta(4, "{}"),
        Finish("stop_sequence", "E"),
        UsageReport(Usage(input=3, output=2)),
    )
    thinking = ["[0 thinking", "hm", "s", "]", "[1 redacted_thinking", "]"]
    words = ["[2 text", "a", "b", "]", "[3 text", "no", "]", "[4 tool_use", "{}", "]"]
    assert told(found) == ["(", *thinking, *words, "end", ")"]
    assert found[0]["message"]["usage"]["input_tokens"] == 11, "an estimate, until the provider counts"
    assert found[-2]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "E"}
    assert (found[-2]["usage"]["input_tokens"], found[-2]["usage"]["output_tokens"]) == (3, 2)


def test_where_nobody_counts_events_are() -> None:
    found = write(START, TextDelta(0, "a"), TextDelta(0, "b"), Finish("end"))
    assert (found[-2]["usage"]["input_tokens"], found[-2]["usage"]["output_tokens"]) == (11, 2)


def test_what_the_provider_knows_at_the_start_is_told_at_the_start() -> None:
    found = write(Start("i", "m", usage=Usage(input=5)), Finish("end"))
    assert found[0]["message"]["usage"]["input_tokens"] == 5
    assert told(found) == ["(", "end", ")"]


def test_a_call_ends_when_its_arguments_are_whole_and_the_next_waits() -> None:
    found = write(
        START,
        ToolCallStart(0, "c", "f"),
        ToolCallDelta(0, '{"a"'),
        ToolCallStart(1, "d", "g"),
        ToolCallDelta(1, "{"),
        ToolCallDelta(0, ": 1"),
        ToolCallDelta(1, "}"),
        ToolCallDelta(0, "}"),
        TextDelta(2, "x"),
        Finish("tool_use"),
    )
    first, second = ["[0 tool_use", '{"a"', ": 1", "}", "]"], ["[1 tool_use", "{", "}", "]"]
    assert told(found) == ["(", *first, *second, "[2 text", "x", "]", "end", ")"]


def test_calls_that_never_become_whole_are_written_at_the_end() -> None:
    found = write(
        START,
        ToolCallStart(0, "c", "f"),
        ToolCallStart(1, "d", "g"),
        ToolCallDelta(1, "{"),
        TextDelta(2, "x"),
        Finish("max_tokens"),
    )
    assert told(found) == ["(", "[0 tool_use", "]", "[1 tool_use", "{", "]", "[2 text", "x", "]", "end", ")"]


def test_a_call_that_goes_on_after_its_end_is_a_fault() -> None:
    with pytest.raises(ProtocolError):
        write(START, ToolCallStart(0, "c", "f"), ToolCallDelta(0, "{}"), TextDelta(1, "x"), ToolCallDelta(0, "x"))


def test_a_string_goes_on_with_the_part_before_even_where_that_waits() -> None:
    encoder = Encoder(REQUEST)
    for one in (START, TextDelta(0, "a")):
        encoder.encode(one)
    assert json.loads(encoder.more(b'"b\\""').partition(b"data: ")[2])["delta"] == {"type": "text_delta", "text": 'b"'}
    for one in (ToolCallStart(1, "c", "f"), ToolCallStart(2, "d", "g"), ToolCallDelta(2, "{")):
        encoder.encode(one)
    assert encoder.more(b'"}"') == b"", "the first call is not whole"
    sent = encoder.encode(ToolCallDelta(1, "{}"))
    assert [json.loads(one.partition(b"data: ")[2])["type"] for one in events(sent)] == [
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
    ]


def test_a_failure_is_an_error_of_the_client() -> None:
    sent = Encoder(REQUEST).encode(Failure("m"))
    assert sent.startswith(b"event: error\ndata: ")
    assert json.loads(sent.partition(b"data: ")[2]) == {"type": "error", "error": {"type": "api_error", "message": "m"}}

"""Streams of chat completions as neutral events."""

import json
from typing import Any

import pytest

from gateway.core.conversation import (
    Failure,
    Finish,
    RefusalDelta,
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
from gateway.dialects.openai_chat.decoder import Decoder
from gateway.dialects.openai_chat.encoder import DONE


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": index, "delta": delta, "finish_reason": finish}]
    return b"data: %b\n\n" % json.dumps({"id": "i", "model": "m", "created": 7, "choices": choices, **more}).encode()


def call(index: int | None, arguments: str = "", id: str | None = None, name: str | None = None) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]}


def read(*stream: bytes) -> list[StreamEvent]:
    decoder = Decoder()
    return [event for one in stream for event in decoder.feed(one)]


def test_a_stream_begins_once_and_its_parts_are_counted() -> None:
    found = read(
        b": comment\n\n",
        chunk(prompt_filter_results=[]),
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "hm"}),
        chunk({"content": "a"}),
        chunk({"content": "b"}),
        chunk(call(0, "", "c", "f")),
        chunk(call(0, "{}")),
        chunk({"refusal": "no"}),
        chunk({}, "tool_calls"),
        chunk(usage={"prompt_tokens": 3, "completion_tokens": 2}),
        DONE,
    )
    assert found == [
        Start("i", "m", 7),
        ThinkingDelta(0, "hm"),
        TextDelta(1, "a"),
        TextDelta(1, "b"),
        ToolCallStart(2, "c", "f"),
        ToolCallDelta(2, "{}"),
        RefusalDelta(3, "no"),
        Finish("tool_use"),
        UsageReport(Usage(input=3, output=2)),
    ]


def test_the_end_is_noted() -> None:
    decoder = Decoder()
    assert not decoder.is_done
    assert decoder.feed(b"data:[DONE]\r\n\r\n") == [] and decoder.is_done


@pytest.mark.parametrize(
    "stream",
    [
        [chunk(call(0, "1", "a", "f")), chunk(call(0, "2", "b", "g"))],  # all are numbered 0
        [chunk(call(None, "1", "a", "f")), chunk(call(None, "2", "b", "g"))],  # none is numbered
        [chunk(call(4, "1", "a", "f")), chunk(call(7, "2", "b", "g"))],
        [chunk(call(0, "1", "a", "f") | {"x": 1}), chunk(call(1, "2", "b", "g"))],
    ],
)
def test_calls_are_told_apart_however_servers_number_them(stream: list[bytes]) -> None:
    assert read(*stream)[1:] == [
        ToolCallStart(0, "a", "f"),
        ToolCallDelta(0, "1"),
        ToolCallStart(1, "b", "g"),
        ToolCallDelta(1, "2"),
    ]


def test_a_call_goes_on_with_its_id_or_without() -> None:
    stream = [chunk(call(0, "1", "a", "f")), chunk(call(0, "2", "a", "f")), chunk(call(0, "3")), chunk(call(None, "4"))]
    assert [event for event in read(*stream) if isinstance(event, ToolCallDelta)] == [
        ToolCallDelta(0, text) for text in "1234"
    ]


def test_a_call_without_an_id_gets_one_and_one_that_did_not_begin_is_a_fault() -> None:
    assert read(chunk(call(0, "", None, "f")))[1] == ToolCallStart(0, "call_0", "f")
    with pytest.raises(ProtocolError):
        read(chunk(call(0, "x")))


def test_other_choices_are_not_ours() -> None:
    assert read(chunk({"content": "x"}, index=1)) == [Start("i", "m", 7)]


@pytest.mark.parametrize("error", [{"message": "m", "code": 5}, "m"])
def test_an_error_is_one(error: Any) -> None:
    (failure,) = read(b"data: %b\n\n" % json.dumps({"error": error}).encode())
    assert isinstance(failure, Failure) and failure.message == "m"


def test_garbage_is_a_fault() -> None:
    with pytest.raises(ProtocolError):
        read(b"data: {x\n\n")


def test_events_that_only_go_on_are_not_parsed() -> None:
    decoder = Decoder()
    assert decoder.string_delta(chunk({"content": "a"})) is None, "nothing is known yet"
    decoder.feed(chunk({"content": "a"}))
    assert decoder.string_delta(chunk({"content": "a"})) is None, "the first held the beginning as well"
    decoder.feed(chunk({"content": "b"}))
    assert decoder.string_delta(chunk({"content": 'c"\n'})) == b'"c\\"\\n"'
    assert decoder.string_delta(chunk({"content": "c"}, "stop")) is None
    decoder.feed(chunk({}, "stop"))
    assert decoder.string_delta(chunk({"content": "d"})) is None, "something else has come"

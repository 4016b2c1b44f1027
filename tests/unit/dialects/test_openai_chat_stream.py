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
from gateway.core.errors import ProtocolError
from gateway.core.usage import Usage
from gateway.dialects.openai_chat.stream import DONE, Decoder, Encoder
from gateway.streaming.sse import events


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": index, "delta": delta, "finish_reason": finish}]
    return b"data: %b\n\n" % json.dumps({"id": "i", "model": "m", "created": 7, "choices": choices, **more}).encode()


def call(index: int | None, arguments: str = "", id: str | None = None, name: str | None = None) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]}


def read(*stream: bytes) -> list[StreamEvent]:
    decoder = Decoder()
    return [event for one in stream for event in decoder.feed(one)]


# From the provider


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
    assert decoder.more(chunk({"content": "a"})) is None, "nothing is known yet"
    decoder.feed(chunk({"content": "a"}))
    assert decoder.more(chunk({"content": "a"})) is None, "the first held the beginning as well"
    decoder.feed(chunk({"content": "b"}))
    assert decoder.more(chunk({"content": 'c"\n'})) == b'"c\\"\\n"'
    assert decoder.more(chunk({"content": "c"}, "stop")) is None
    decoder.feed(chunk({}, "stop"))
    assert decoder.more(chunk({"content": "d"})) is None, "something else has come"


# To the client


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
        {"type": "thinking", "thinking": "a", "signature": "s"},
        {"type": "thinking", "thinking": "bc", "signature": "t"},
        {"type": "thinking", "thinking": "", "signature": "u"},
        {"type": "redacted_thinking", "data": "d"},
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
    read = json.loads(encoder.more(b'"x\\""')[6:])
    assert read["choices"][0]["delta"] == added
    if isinstance(before[0], ThinkingDelta):
        assert b'"thinking":"ax\\""' in encoder.encode(Signature(0, "s"))


def test_a_failure_is_an_error_of_the_client() -> None:
    sent = Encoder(ChatRequest(b"", "/", "m")).encode(Failure("m", "t", "c"))
    assert json.loads(sent[6:]) == {"error": {"message": "m", "type": "t", "param": None, "code": "c"}}

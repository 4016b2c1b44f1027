import json
from typing import Any

import pytest

from gateway.core.conversation import (
    Failure,
    Finish,
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
from gateway.dialects.anthropic_messages.decoder import Decoder


def event(kind: str, **more: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **more}).encode())


def delta(index: int, kind: str, **more: str) -> bytes:
    return event("content_block_delta", index=index, delta={"type": kind, **more})


def block(index: int, kind: str, **more: Any) -> bytes:
    return event("content_block_start", index=index, content_block={"type": kind, **more})


def read(*stream: bytes) -> list[StreamEvent]:
    decoder = Decoder()
    return [found for one in stream for found in decoder.feed(one)]


def test_every_event_has_its_word() -> None:
    usage = {"input_tokens": 3, "output_tokens": 1}
    found = read(
        event("message_start", message={"id": "i", "model": "m", "usage": usage}),
        event("ping"),
        block(0, "thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="hm"),
        delta(0, "signature_delta", signature="s"),
        event("content_block_stop", index=0),
        block(1, "redacted_thinking", data="d"),
        block(2, "text", text=""),
        delta(2, "text_delta", text="a"),
        delta(2, "citations_delta"),
        block(3, "tool_use", id="c", name="f", input={}),
        delta(3, "input_json_delta", partial_json=""),
        delta(3, "input_json_delta", partial_json="{}"),
        event(
            "message_delta", delta={"stop_reason": "stop_sequence", "stop_sequence": "E"}, usage={"output_tokens": 5}
        ),
        event("message_stop"),
    )
    assert found == [
        Start("i", "m", usage=Usage(input=3, output=1)),
        ThinkingDelta(0, "hm"),
        Signature(0, "s"),
        Signature(1, data="d"),
        TextDelta(2, "a"),
        ToolCallStart(3, "c", "f"),
        ToolCallDelta(3, "{}"),
        UsageReport(Usage(input=3, output=5)),
        Finish("stop_sequence", "E"),
    ]


def test_blocks_may_begin_with_content() -> None:
    assert read(
        block(0, "thinking", thinking="hm", signature="s"),
        block(1, "text", text="a"),
        block(2, "tool_use", id="c", name="f", input={"a": 1}),
    ) == [
        ThinkingDelta(0, "hm"),
        Signature(0, "s"),
        TextDelta(1, "a"),
        ToolCallStart(2, "c", "f"),
        ToolCallDelta(2, '{"a": 1}'),
    ]


def test_parts_are_counted_whatever_number_a_block_has() -> None:
    big = 10**9
    assert read(
        block(big, "tool_use", id="c", name="f"),
        delta(big, "input_json_delta", partial_json="{}"),
        block(big, "tool_use", id="d", name="g"),
        delta(big, "input_json_delta", partial_json="[]"),
        delta(-1, "text_delta", text="a"),
    ) == [
        ToolCallStart(0, "c", "f"),
        ToolCallDelta(0, "{}"),
        ToolCallStart(1, "d", "g"),
        ToolCallDelta(1, "[]"),
        TextDelta(2, "a"),
    ]


@pytest.mark.parametrize(
    "stream",
    [
        (delta(0, "input_json_delta", partial_json="{}"),),
        (block(0, "text", text="a"), delta(0, "input_json_delta", partial_json="{}")),
        (block(0, "tool_use", id="c", name="f"), delta(0, "text_delta", text="a")),
    ],
    ids=["arguments of no call", "arguments in a text", "a text in a call"],
)
def test_a_delta_must_be_of_its_block_s_kind(stream: tuple[bytes, ...]) -> None:
    with pytest.raises(ProtocolError):
        read(*stream)


def test_the_end_is_noted() -> None:
    decoder = Decoder()
    assert not decoder.is_done
    assert decoder.feed(event("message_stop")) == [] and decoder.is_done


def test_an_error_is_one_and_garbage_is_a_fault() -> None:
    assert read(event("error", error={"type": "t", "message": "m"})) == [Failure("m", "t")]
    assert isinstance(read(event("error"))[0], Failure)
    for odd in (b"data: {x\n\n", block(0, "server_tool_use", id="x")):
        with pytest.raises(ProtocolError):
            read(odd)


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_events_that_only_go_on_are_not_parsed_however_they_are_padded(end: bytes) -> None:
    def padded(text: str, spaces: int) -> bytes:
        plain = delta(0, "text_delta", text=text).replace(b"\n\n", end)
        return plain.replace(b"}}" + end, b"}" + b" " * spaces + b"}" + end)

    decoder = Decoder()
    assert decoder.more(padded("a", 0)) is None
    decoder.feed(padded("a", 3))
    assert [decoder.more(padded("b", spaces)) for spaces in (0, 1, 9)] == [b'"b"'] * 3
    assert decoder.more(padded("b", 0).replace(b'"index": 0', b'"index": 1')) is None
    decoder.feed(event("content_block_stop", index=0))
    assert decoder.more(padded("b", 0)) is None

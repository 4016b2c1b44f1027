"""A stream that passes unchanged: its usage, its end, an error in it."""

import json
from typing import Any

import pytest

from gateway.core.errors import ProtocolError, Unavailable
from gateway.core.exchange import Meter
from gateway.core.usage import Usage
from gateway.dialects import anthropic_messages as dialect


def event(kind: str, **more: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **more}).encode())


def delta(text: str, index: int = 0) -> bytes:
    return event("content_block_delta", index=index, delta={"type": "text_delta", "text": text})


START = event("message_start", message={"id": "msg_1", "usage": {"input_tokens": 7, "output_tokens": 1}})

OPEN = event("content_block_start", index=0, content_block={"type": "text", "text": ""})

END = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5})

STOP = event("message_stop")


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        (START, "prelude"),
        (OPEN, "prelude"),
        (event("ping"), "prelude"),
        (b": comment\n\n", "prelude"),
        (b"data: \n\n", "prelude"),
        (delta(""), "prelude"),
        (event("content_block_start", index=0, content_block={"type": "thinking", "thinking": ""}), "prelude"),
        (delta("x"), "content"),
        (event("content_block_start", index=0, content_block={"type": "text", "text": "x"}), "content"),
        (event("content_block_start", index=0, content_block={"type": "tool_use", "id": "c", "name": "f"}), "content"),
        (event("content_block_start", index=0, content_block={"type": "redacted_thinking", "data": "x"}), "content"),
        (event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "x"}), "content"),
        (event("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "x"}), "content"),
        (event("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": "{"}), "content"),
        (END, "content"),
    ],
)
def test_the_kind_of_an_event(block: bytes, kind: str) -> None:
    assert dialect.read_stream(Meter(), hides_usage=False, choices=1).kind(block) == kind


def test_an_error_before_the_content_is_the_providers() -> None:
    codec = dialect.read_stream(Meter(), hides_usage=False, choices=1)
    with pytest.raises(Unavailable):
        codec.kind(event("error", error={"type": "overloaded_error", "message": "x"}))
    with pytest.raises(ProtocolError):
        codec.kind(b"data: {x\n\n")


def test_a_stream_passes_untouched_and_is_metered() -> None:
    meter = Meter()
    codec = dialect.read_stream(meter, hides_usage=True, choices=1)
    sent = [START, OPEN, delta("a"), delta('"usage" "message_stop"'), END, STOP]
    assert b"".join(map(codec.forward, sent)) == b"".join(sent)
    assert meter.usage == Usage(input=7, output=5)
    assert meter.events == 6 and meter.bytes_out == len(b"".join(sent))
    assert codec.closing() == b"" and not codec.has_failed
    assert codec.forward(delta("late")) == b""


def test_a_stream_in_one_block_is_cut_behind_its_end() -> None:
    codec = dialect.read_stream(Meter(), hides_usage=True, choices=1)
    assert codec.forward(START + delta("a") + END + STOP + delta("late")) == START + delta("a") + END + STOP


def test_without_its_end_a_stream_broke_off() -> None:
    codec = dialect.read_stream(Meter(), hides_usage=True, choices=1)
    codec.forward(START + delta("a") + END)
    assert codec.closing() is None


def test_nothing_follows_an_error() -> None:
    codec = dialect.read_stream(Meter(), hides_usage=True, choices=1)
    error = event("error", error={"type": "overloaded_error", "message": "x"})
    assert codec.forward(delta("a") + error + delta("b")) == delta("a") + error
    assert codec.has_failed and codec.closing() == b"" and codec.forward(STOP) == b""


def test_what_comes_first_of_an_end_and_an_error_counts() -> None:
    error = event("error", error={"type": "overloaded_error", "message": "x"})
    for first, second, fails in ((END + STOP, error, False), (error, END + STOP, True)):
        codec = dialect.read_stream(Meter(), hides_usage=True, choices=1)
        assert codec.forward(delta("a") + first + second) == delta("a") + first
        assert codec.has_failed is fails and codec.closing() == b""


def test_marks_that_mean_something_else_change_nothing() -> None:
    codec = dialect.read_stream(Meter(), hides_usage=True, choices=1)
    odd = b'data: {"type":"x","error":1,"usage":null,"a":"message_stop"}\n\ndata: {"error" "usage" broken\n\n'
    assert codec.forward(odd) == odd and not codec.has_failed and codec.closing() is None

"""Streams of chat completions as they pass: what is seen of them, and what is taken out."""

import pytest

from gateway.core.exchange import Meter
from gateway.core.usage import Usage
from gateway.dialects.openai_chat import read_stream
from gateway.dialects.openai_chat.observer import ChatStreamObserver
from tests.support.streams import DONE, ERROR, FINISH, ROLE, USAGE, chunk, text


def stream(hides_usage: bool = True, choices: int = 1) -> tuple[ChatStreamObserver, Meter]:
    meter = Meter()
    return read_stream(meter, hides_usage=hides_usage, choices=choices), meter


def test_a_block_without_anything_to_change_passes_as_it_came() -> None:
    codec, meter = stream()
    block = text("a") + text("b")
    assert codec.forward(block) is block
    assert (meter.events, meter.bytes_out, meter.usage) == (2, len(block), None)


def test_a_usage_of_null_in_every_chunk_is_stripped_for_whom_did_not_ask() -> None:
    block = text("a", usage=None) + text('b,"usage":null', usage=None)
    assert stream(hides_usage=True)[0].forward(block) == text("a") + text('b,"usage":null')
    assert stream(hides_usage=False)[0].forward(block) is block


def test_usage_with_a_choice_is_metered_and_kept() -> None:
    """Some providers report usage with the last choice in any case: that chunk is forwarded."""
    for hides_usage in (True, False):
        codec, meter = stream(hides_usage)
        block = text("a") + chunk(finish="stop", usage={"prompt_tokens": 3, "completion_tokens": 1})
        assert codec.forward(block) == block and codec.closing() == DONE
        assert meter.usage == Usage(input=3, output=1)


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
@pytest.mark.parametrize("space", [b"", b" "])
def test_the_usage_event_is_stripped_out_of_the_middle_of_a_block(end: bytes, space: bytes) -> None:
    usage = USAGE.replace(b'"usage":', b'"usage":' + space)
    for before, after in ((FINISH, DONE), (FINISH, b"")):
        codec, meter = stream()
        got = codec.forward((before + usage + after).replace(b"\n\n", end))
        assert got == (before + after).replace(b"\n\n", end)
        assert meter.usage == Usage(input=7, output=3)


def test_the_last_usage_counts() -> None:
    codec, meter = stream()
    codec.forward(text("a", usage={"prompt_tokens": 3, "completion_tokens": 1}))
    codec.forward(text("b", usage={"prompt_tokens": 3, "completion_tokens": 2}) + USAGE.replace(b"3", b"9"))
    assert meter.usage == Usage(input=7, output=9)


@pytest.mark.parametrize(
    "content", ['"usage":{', '"finish_reason":"stop"', '"error":{"a":1}', "data: [DONE]\n\n", "[DONE]"]
)
def test_what_a_text_says_is_not_taken_for_what_the_provider_says(content: str) -> None:
    codec, meter = stream()
    block = text(content)
    assert codec.forward(block) is block
    assert not codec.is_done and not codec.has_failed and codec.closing() is None and meter.usage is None


def test_usage_in_an_argument_of_a_tool_is_not_the_streams() -> None:
    codec, meter = stream()
    block = chunk({"tool_calls": [{"function": {"arguments": {"usage": {"prompt_tokens": 9}}}}]})
    assert codec.forward(block) is block and meter.usage is None


@pytest.mark.parametrize(
    "done", [b"data: [DONE]\n\n", b"data:[DONE]\n\n", b"data: [DONE]\r\n\r\n", b"data: [DONE]\r\r"]
)
def test_done_is_recognised_in_each_spelling(done: bytes) -> None:
    codec, _ = stream()
    assert codec.closing() is None
    assert codec.forward(text("a") + FINISH + done + text("b")) == text("a") + FINISH + done
    assert codec.is_done and codec.closing() == b""
    assert codec.forward(text("c")) == b""


def test_an_error_ends_a_block() -> None:
    codec, _ = stream()
    assert codec.forward(text("a") + ERROR + text("b") + DONE) == text("a") + ERROR
    assert codec.has_failed and codec.forward(DONE) == b""


def test_an_error_between_choices_and_metadata_is_seen_without_mistaking_null() -> None:
    codec, _ = stream()
    block = text("a", error=None)
    assert codec.forward(block) is block and not codec.has_failed


def test_all_choices_must_have_finished() -> None:
    codec, _ = stream(choices=3)
    codec.forward(FINISH + chunk(finish="length", index=1))
    assert codec.closing() is None
    codec.forward(chunk(finish="stop", index=2).replace(b'"finish_reason":', b'"finish_reason": '))
    assert codec.closing() == DONE


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (ROLE, "prelude"),
        (b": comment\n\n", "prelude"),
        (b"event: ping\ndata: \n\n", "prelude"),
        (b'data: {"choices":[],"prompt_filter_results":[]}\n\n', "prelude"),
        (USAGE, "prelude"),
        (text(""), "prelude"),
        (text("a"), "content"),
        (text(" "), "content"),
        (chunk({"tool_calls": []}), "prelude"),
        (FINISH, "content"),
    ],
)
def test_each_event_is_of_its_kind(event: bytes, kind: str) -> None:
    assert stream()[0].kind(event) == kind

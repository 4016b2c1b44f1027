"""A stream that passes unchanged: its usage, its end, an error in it."""

import json
from typing import Any

import pytest

from gateway.core.errors import ProtocolError, Unavailable
from gateway.core.exchange import Meter
from gateway.core.usage import Usage
from gateway.dialects import openai_responses


def event(kind: str, **members: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **members}).encode())


COMPLETED = event("response.completed", response={"output": [], "usage": {"input_tokens": 5, "output_tokens": 2}})


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (b": comment\n\n", "prelude"),
        (b"data: \n\n", "prelude"),
        (b"data: [DONE]\n\n", "prelude"),
        (event("keepalive"), "prelude"),
        (event("response.created", response={"output": []}), "prelude"),
        (event("response.output_item.added", item={"type": "message"}), "prelude"),
        (event("response.content_part.added"), "prelude"),
        (event("response.output_text.delta", delta=""), "prelude"),
        (event("response.output_text.delta", delta="a"), "content"),
        (event("response.function_call_arguments.delta", delta="{"), "content"),
        (event("response.output_item.done", item={"type": "message"}), "content"),
        (event("response.web_search_call.in_progress"), "content"),
        (COMPLETED, "end"),
        (event("response.incomplete", response={}), "end"),
    ],
)
def test_content_begins_with_the_first_word_thought_or_act(given: bytes, kind: str) -> None:
    assert openai_responses.read_stream(Meter(), hides_usage=False, choices=1).kind(given) == kind


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (b"data: x\n\n", ProtocolError),
        (b"data: {}\n\n", ProtocolError),
        (b'data: {"choices":[]}\n\n', ProtocolError),
        (event("error", message="x"), Unavailable),
        (event("response.failed", response={}), Unavailable),
    ],
)
def test_what_is_no_event_or_reports_an_error_is_an_error(given: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        openai_responses.read_stream(Meter(), hides_usage=False, choices=1).kind(given)


def test_nothing_follows_the_end_and_its_usage_is_noted() -> None:
    meter = Meter()
    stream = openai_responses.read_stream(meter, hides_usage=True, choices=1)
    delta = event("response.output_text.delta", delta="response.completed")
    assert stream.forward(delta) == delta and stream.closing() is None
    assert stream.forward(delta + COMPLETED + delta) == delta + COMPLETED
    assert stream.forward(delta) == b"" and stream.closing() == b"" and not stream.has_failed
    assert meter.usage == Usage(input=5, output=2) and meter.events == 4


def test_the_name_of_an_end_in_a_text_is_none() -> None:
    stream = openai_responses.read_stream(Meter(), hides_usage=False, choices=1)
    for text in ("response.completed", "error", '"response.failed"'):
        delta = event("response.output_text.delta", delta=text)
        assert stream.forward(delta) == delta
    broken = b'data: {"type":"response.completed", \n\n'
    assert stream.forward(broken) == broken
    assert stream.closing() is None and not stream.has_failed


@pytest.mark.parametrize("kind", ["error", "response.failed"])
def test_an_error_ends_a_stream_that_is_not_complete(kind: str) -> None:
    stream = openai_responses.read_stream(Meter(), hides_usage=False, choices=1)
    failed = event(kind, response={"output": []})
    assert stream.forward(failed + COMPLETED) == failed
    assert stream.has_failed and not stream.is_done and stream.forward(COMPLETED) == b""

"""Neutral events as a stream of completions."""

import json
from typing import Any

from gateway.core.chat import ChatRequest
from gateway.core.conversation import (
    Finish,
    RefusalDelta,
    Start,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallStart,
    UsageReport,
)
from gateway.core.usage import Usage
from gateway.dialects import openai_completions
from gateway.dialects.openai_completions import decode_request


def given_request(**fields: Any) -> ChatRequest:
    body = {"model": "m", "prompt": "x", **fields}
    return decode_request(json.dumps({name: value for name, value in body.items() if value is not ...}).encode())


def written(*story: StreamEvent, wants_usage: bool = False) -> bytes:
    encoder = openai_completions.open_encoder(given_request(stream=True, stream_options={"include_usage": wants_usage}))
    return b"".join(map(encoder.encode, story)) + encoder.finish()


def read(stream: bytes) -> list[StreamEvent]:
    decoder = openai_completions.open_decoder()
    return [found for event in stream.split(b"\n\n") for found in decoder.feed(event + b"\n\n")]


def test_a_stream_is_read_as_it_was_written() -> None:
    usage = UsageReport(Usage(input=5, output=2))
    story = (Start("i", "m", 7), TextDelta(0, "a"), TextDelta(0, '"\u2028'), Finish("max_tokens"), usage)
    assert read(written(*story, wants_usage=True)) == list(story)
    assert read(written(*story)) == list(story[:-1])


def test_thoughts_and_calls_have_no_place_and_refusals_are_words() -> None:
    story = (ThinkingDelta(0, "hm"), ToolCallStart(1, "c", "f"), RefusalDelta(2, "no"), Finish("refusal"))
    assert read(written(Start("i", "m", 7), *story))[1:] == [TextDelta(0, "no"), Finish("end")]


def test_more_of_what_is_not_shown_is_not_shown() -> None:
    encoder = openai_completions.open_encoder(given_request(stream=True))
    assert encoder.encode(ThinkingDelta(0, "hm")) == b"" and encoder.append(b'"hm"') == b""
    encoder.encode(TextDelta(1, "a"))
    assert b'"text":"b"' in encoder.append(b'"b"')

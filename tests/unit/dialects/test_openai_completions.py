import json
from typing import Any

import pytest

from gateway.core.chat import ChatRequest
from gateway.core.conversation import (
    Completion,
    Failure,
    Finish,
    Refusal,
    RefusalDelta,
    Start,
    StopReason,
    StreamEvent,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
    ToolCallStart,
    UsageReport,
)
from gateway.core.errors import InvalidRequest, ProtocolError, Unavailable
from gateway.core.exchange import Meter
from gateway.core.usage import Usage
from gateway.dialects import openai_completions
from gateway.dialects.openai_completions import decode_request, encode_request, read_stream


def asked(**fields: Any) -> ChatRequest:
    body = {"model": "m", "prompt": "x", **fields}
    return decode_request(json.dumps({name: value for name, value in body.items() if value is not ...}).encode())


def chunk(text: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "text": text, "finish_reason": finish}
    return b"data: %b\n\n" % json.dumps({"id": "c", "model": "m", "created": 7, "choices": [choice], **more}).encode()


# Requests


@pytest.mark.parametrize(
    ("prompt", "answers", "tokens"),
    [
        ("x" * 38, 1, 8),
        (["a" * 20, "b" * 20], 2, 11),
        ([1, 2, 3], 1, 3),
        ([[1, 2], [3], [4]], 3, 4),
        (None, 1, 1),
        (..., 1, 1),
    ],
)
def test_prompts_are_counted_in_every_shape(prompt: Any, answers: int, tokens: int) -> None:
    request = asked(prompt=prompt)
    assert (request.n, request.tokens) == (answers, tokens)
    assert asked(prompt=prompt, n=3).n == 3 * answers


def test_the_facts_of_a_request_are_read() -> None:
    request = asked(stream=True, max_tokens=0, temperature=1, stream_options={"include_usage": True})
    assert (request.path, request.stream, request.max_tokens, request.temperature) == ("/v1/completions", True, 0, 1.0)
    assert request.wants_usage and request.has_stream_options and not asked().wants_usage


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ...}, "model"),
        ({"prompt": 1}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["x", 1]}, "prompt"),
        ({"prompt": [True]}, "prompt"),
        ({"prompt": {}}, "prompt"),
        ({"n": 0}, "n"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"stream": 1}, "stream"),
        ({"stream_options": 1}, "stream_options"),
    ],
)
def test_a_request_of_another_shape_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked(**fields)
    assert (caught.value.http_status, caught.value.param) == (400, param)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","prompt":"x","stream_options":{"a":1,"a":2}}',
        b'{"model":"m","prompt":"x","odd":1e999}',
        b'{"model":"m","prompt":' + b"[" * 200 + b"]" * 200 + b"}",
    ],
)
def test_what_two_readers_could_take_for_two_things_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decode_request(body)


def test_bytes_pass_untouched_but_for_the_models_name_and_the_wish_for_usage() -> None:
    body = b'{ "prompt" : ["x","y"] , "model":"m", "suffix":"z", "echo":true, "best_of":2}'
    assert encode_request(decode_request(body), "m") == body
    streamed = json.loads(encode_request(asked(stream=True, suffix="z"), "other"))
    assert streamed == {
        "model": "other",
        "prompt": "x",
        "stream": True,
        "suffix": "z",
        "stream_options": {"include_usage": True},
    }


# Streams of the same dialect


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (b": comment\n\n", "prelude"),
        (b"data: \n\n", "prelude"),
        (chunk(""), "prelude"),
        (b'data: {"choices":[]}\n\n', "prelude"),
        (chunk("a"), "content"),
        (chunk("", "stop"), "content"),
        (b"data: [DONE]\n\n", "end"),
    ],
)
def test_content_begins_with_the_first_text(given: bytes, kind: str) -> None:
    assert read_stream(Meter(), hides_usage=False, choices=1).kind(given) == kind


def test_what_is_no_completion_or_reports_an_error_is_an_error() -> None:
    for given, error in ((b"data: x\n\n", ProtocolError), (b'data: {"error":{"message":"x"}}\n\n', Unavailable)):
        with pytest.raises(error):
            read_stream(Meter(), hides_usage=False, choices=1).kind(given)


# Answers


@pytest.mark.parametrize(
    ("parts", "stop", "text", "reason"),
    [
        ((Text("a"), Text("b")), "end", "ab", "stop"),
        ((Thinking("hm"), Text("a")), "stop_sequence", "a", "stop"),
        ((Text("a"),), "max_tokens", "a", "length"),
        ((Text("a"),), "context_window", "a", "length"),
        ((Refusal("no"),), "refusal", "no", "stop"),
        ((), "refusal", "", "content_filter"),
        ((Text("a"),), "content_filter", "a", "content_filter"),
        ((ToolCall("c", "f", ""),), "tool_use", "", "stop"),
    ],
)
def test_an_answer_is_its_words_and_why_they_end(parts: Any, stop: StopReason, text: str, reason: str) -> None:
    told = json.loads(openai_completions.encode_answer(Completion("i", "", parts, stop), asked()))
    assert (told["object"], told["model"], told["choices"][0]["text"]) == ("text_completion", "m", text)
    assert told["choices"][0]["finish_reason"] == reason and "usage" not in told
    counted = Completion("i", "", parts, stop, usage=Usage(input=5, output=2))
    assert json.loads(openai_completions.encode_answer(counted, asked()))["usage"]["total_tokens"] == 7


def test_an_answer_is_read() -> None:
    body = b'{"id":"i","model":"m","created":7,"choices":[{"text":"a","finish_reason":"length"}],"usage":{"prompt_tokens":5}}'
    usage = Usage(input=5)
    assert openai_completions.decode_answer(body) == Completion("i", "m", (Text("a"),), "max_tokens", None, usage, 7)
    assert openai_completions.decode_answer(b'{"choices":[{"text":""}]}').parts == ()


@pytest.mark.parametrize(
    ("body", "error"), [(b"x", ProtocolError), (b"{}", ProtocolError), (b'{"error":{"message":"x"}}', Unavailable)]
)
def test_what_is_no_answer_is_an_error(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        openai_completions.decode_answer(body)


# Streams of another


def written(*story: StreamEvent, wants_usage: bool = False) -> bytes:
    encoder = openai_completions.open_encoder(asked(stream=True, stream_options={"include_usage": wants_usage}))
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
    encoder = openai_completions.open_encoder(asked(stream=True))
    assert encoder.encode(ThinkingDelta(0, "hm")) == b"" and encoder.more(b'"hm"') == b""
    encoder.encode(TextDelta(1, "a"))
    assert b'"text":"b"' in encoder.more(b'"b"')


def test_more_of_a_text_is_read_without_being_parsed() -> None:
    decoder = openai_completions.open_decoder()
    assert decoder.more(chunk("a")) is None
    decoder.feed(chunk("a"))
    decoder.feed(chunk("b"))
    assert decoder.more(chunk("c")) == b'"c"' and decoder.more(chunk("", "stop")) is None


def test_a_failure_is_told_and_read() -> None:
    encoder = openai_completions.open_encoder(asked(stream=True))
    assert read(encoder.encode(Failure("x", "t", "c"))) == [Failure("x", "t", "c")]
    assert read(b'data: {"error":"x"}\n\n') == [Failure("x")]
    with pytest.raises(ProtocolError):
        read(b"data: x\n\n")

import json
from typing import Any

import pytest

from gateway.core.errors import InvalidRequest, NoCapacity, ProtocolError, Unauthenticated, Unavailable
from gateway.core.exchange import Meter
from gateway.core.usage import Usage
from gateway.dialects import BY_NAME
from gateway.dialects import anthropic_messages as dialect


def raw(**fields: Any) -> bytes:
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]} | fields
    return json.dumps(body, ensure_ascii=False).encode()


def event(kind: str, **more: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **more}).encode())


def delta(text: str, index: int = 0) -> bytes:
    return event("content_block_delta", index=index, delta={"type": "text_delta", "text": text})


START = event("message_start", message={"id": "msg_1", "usage": {"input_tokens": 7, "output_tokens": 1}})
OPEN = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
END = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5})
STOP = event("message_stop")


# Requests


def test_the_facts_of_a_request() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 4000}}
    content = [
        {"type": "text", "text": "x" * 400},
        image,
        {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "y" * 400}, image]},
        {"type": "tool_result", "tool_use_id": "d", "content": "z" * 400},
        {"type": "tool_result", "tool_use_id": "e", "content": None},
    ]
    request = dialect.decode_request(
        raw(messages=[{"role": "user", "content": content}], stream=True, temperature=0.5, tools=[{"name": "f"}], odd=1)
    )
    assert (request.model, request.max_tokens, request.temperature, request.tools) == ("m", 9, 0.5, 1)
    assert (request.stream, request.has_stream, request.wants_usage, request.images) == (True, True, True, 2)
    assert 1900 < request.tokens < 1950, "300 of text and two images, whose bytes are no text"
    assert request.path == "/v1/messages" and "odd" in request.fields


def test_system_tools_thoughts_and_documents_count_as_text() -> None:
    long = "x" * 4000
    bare = dialect.decode_request(raw()).tokens
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": long}}
    for more in (
        {"system": long},
        {"system": [{"type": "text", "text": long}]},
        {"tools": [{"name": long}]},
        {"messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": long, "signature": ""}]}]},
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "input": {"a": long}}]}]},
        {"messages": [{"role": "user", "content": [document]}]},
    ):
        assert 800 < dialect.decode_request(raw(**more)).tokens - bare < 1000


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"model": None}, "model", "invalid_type"),
        ({"messages": "x"}, "messages", "invalid_type"),
        ({"messages": [1]}, "messages[0]", "invalid_type"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
        ({"messages": [{"content": "x"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content", "invalid_type"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type", None),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": 5}]}]},
            "messages[0].content[0].content",
            "invalid_type",
        ),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_tokens": "9"}, "max_tokens", "invalid_type"),
        ({"stream": 1}, "stream", "invalid_type"),
        ({"system": 1}, "system", "invalid_type"),
        ({"tools": {}}, "tools", "invalid_type"),
    ],
)
def test_what_has_the_wrong_shape_is_refused_by_name(fields: dict[str, Any], param: str, code: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        dialect.decode_request(raw(**fields))
    assert caught.value.param == param
    assert caught.value.error_code == (code or "missing_required_parameter")


@pytest.mark.parametrize(
    "body", [b"", b"x", raw()[:-1] + b',"model":"n"}', raw(x=[]).replace(b"[]}", b"[" * 200 + b"]" * 200 + b"}")]
)
def test_what_is_no_good_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        dialect.decode_request(body)
    assert caught.value.error_code == "invalid_json"


def test_a_count_needs_no_max_tokens() -> None:
    body = json.dumps({"model": "m", "messages": []}).encode()
    assert dialect.decode_request(body).max_tokens is None


def test_bytes_pass_but_for_the_name_of_the_model() -> None:
    body = raw(stream=True, x=1.50)
    request = dialect.decode_request(body)
    assert dialect.encode_request(request, "m") is request.raw
    sent = dialect.encode_request(request, 'o"')
    assert json.loads(sent) == json.loads(body) | {"model": 'o"'} and b"1.5" in sent


# Answers


def test_an_answer_gives_its_usage() -> None:
    body = json.dumps({"type": "message", "content": [], "usage": {"input_tokens": 3, "output_tokens": 2}}).encode()
    assert dialect.read_answer(body) == Usage(input=3, output=2)
    assert dialect.read_answer(b'{"type":"message","content":[]}') is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"type":"message"}', b'{"content":5}', b"\xff"])
def test_what_is_no_message_is_a_fault(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        dialect.read_answer(body)


def test_an_error_in_disguise_is_one() -> None:
    with pytest.raises(Unavailable):
        dialect.read_answer(b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}')


# Streams


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
        (STOP, "end"),
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
    assert b"".join(map(codec.pass_on, sent)) == b"".join(sent)
    assert meter.usage == Usage(input=7, output=5)
    assert meter.events == 6 and meter.bytes_out == len(b"".join(sent))
    assert codec.closing() == b"" and not codec.has_failed
    assert codec.pass_on(delta("late")) == b""


def test_a_stream_in_one_block_is_cut_behind_its_end() -> None:
    codec = dialect.read_stream(Meter(), hides_usage=True, choices=1)
    assert codec.pass_on(START + delta("a") + END + STOP + delta("late")) == START + delta("a") + END + STOP


def test_without_its_end_a_stream_broke_off() -> None:
    codec = dialect.read_stream(Meter(), hides_usage=True, choices=1)
    codec.pass_on(START + delta("a") + END)
    assert codec.closing() is None


def test_nothing_follows_an_error() -> None:
    codec = dialect.read_stream(Meter(), hides_usage=True, choices=1)
    error = event("error", error={"type": "overloaded_error", "message": "x"})
    assert codec.pass_on(delta("a") + error + delta("b")) == delta("a") + error
    assert codec.has_failed and codec.closing() == b"" and codec.pass_on(STOP) == b""


def test_what_comes_first_of_an_end_and_an_error_counts() -> None:
    error = event("error", error={"type": "overloaded_error", "message": "x"})
    for first, second, fails in ((STOP, error, False), (error, STOP, True)):
        codec = dialect.read_stream(Meter(), hides_usage=True, choices=1)
        assert codec.pass_on(delta("a") + first + second) == delta("a") + first
        assert codec.has_failed is fails and codec.closing() == b""


def test_marks_that_mean_something_else_change_nothing() -> None:
    codec = dialect.read_stream(Meter(), hides_usage=True, choices=1)
    odd = b'data: {"type":"x","error":1,"usage":null,"a":"message_stop"}\n\ndata: {"error" "usage" broken\n\n'
    assert codec.pass_on(odd) == odd and not codec.has_failed and codec.closing() is None


# Errors


@pytest.mark.parametrize(
    ("error", "kind"),
    [(Unauthenticated("no key"), "authentication_error"), (NoCapacity("full"), "overloaded_error")],
)
def test_errors_have_the_shape_that_clients_know(error: Any, kind: str) -> None:
    expected = {"type": "error", "error": {"type": kind, "message": error.message}}
    assert json.loads(dialect.encode_error(error)) == expected
    assert dialect.encode_error_event(error) == b"event: error\ndata: " + dialect.encode_error(error) + b"\n\n"


def test_it_is_found_by_its_name() -> None:
    assert BY_NAME["anthropic_messages"] is dialect

import json
from typing import Any

import pytest

from gateway.core.errors import InvalidRequest, ModelNotFound, ProtocolError, Unavailable
from gateway.core.exchange import Meter
from gateway.core.usage import Usage
from gateway.dialects import openai_responses
from gateway.dialects.openai_responses import decode_request, encode_error_event, encode_request, read_answer


def raw(**fields: Any) -> bytes:
    """Give a request's body, small and right but for `fields`; a field of `...` is left out."""
    body = {"model": "m", "input": "hello", **fields}
    return json.dumps({name: value for name, value in body.items() if value is not ...}).encode()


def event(kind: str, **members: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **members}).encode())


COMPLETED = event("response.completed", response={"output": [], "usage": {"input_tokens": 5, "output_tokens": 2}})


# Requests


@pytest.mark.parametrize(
    "given",
    [
        "x",
        [],
        None,
        ...,
        [{"role": "user", "content": "x"}],
        [{"type": "message", "role": "user", "content": []}],
        [{"type": "item_reference", "id": "msg_1"}],
        [{"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot"}}],
        [{"type": "anything", "unknown": 10**30}],
    ],
)
def test_input_is_a_text_or_a_list_of_items_of_any_type_or_nothing(given: Any) -> None:
    assert decode_request(raw(input=given)).model == "m"


def test_the_facts_of_a_request_are_read() -> None:
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "a" * 40}, {"type": "input_image"}]},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image"}]},
    ]
    request = decode_request(
        raw(input=items, instructions="be brief", stream=True, max_output_tokens=50, temperature=1, tools=[{"a": 1}])
    )
    assert (request.path, request.model, request.stream, request.has_stream) == ("/v1/responses", "m", True, True)
    assert (request.max_tokens, request.temperature, request.tools, request.images) == (50, 1.0, 1, 2)
    assert request.tokens == (42 + 10 + 8) // 4 + 2 * 800 and request.wants_usage and request.n == 1


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"model": ...}, "model", "missing_required_parameter"),
        ({"model": 1}, "model", "invalid_type"),
        ({"input": 1}, "input", "invalid_type"),
        ({"input": ["x"]}, "input[0]", "invalid_type"),
        ({"input": [{}]}, "input[0]", "missing_required_parameter"),
        ({"input": [{"role": "user", "content": 1}]}, "input[0].content", "invalid_type"),
        ({"input": [{"role": "user", "content": [{}]}]}, "input[0].content[0].type", "missing_required_parameter"),
        ({"instructions": 1}, "instructions", "invalid_type"),
        ({"stream": 1}, "stream", "invalid_type"),
        ({"max_output_tokens": 0}, "max_output_tokens", "invalid_value"),
        ({"temperature": "x"}, "temperature", "invalid_type"),
        ({"tools": {}}, "tools", "invalid_type"),
    ],
)
def test_a_request_of_another_shape_is_refused_by_name(fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_request(raw(**fields))
    assert (caught.value.http_status, caught.value.param, caught.value.error_code) == (400, param, code)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"model":"m","input":"\xff"}',
        b'{"model":"m","model":"n","input":"x"}',
        b'{"model":"m","input":"x","odd":1e999}',
        b'{"model":"m","input":[{"type":"x","a":' + b"[" * 200 + b"]" * 200 + b"}]}",
        b'{"model":"m","input":"x","odd":' + b"[" * 200 + b"]" * 200 + b"}",
    ],
)
def test_what_two_readers_could_take_for_two_things_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decode_request(body)


def test_bytes_pass_untouched_but_for_the_models_name() -> None:
    body = b'{ "input" : "x" , "model":"m", "store":true, "odd": 1.50, "previous_response_id":"resp_1" }'
    request = decode_request(body)
    assert encode_request(request, "m") == body
    assert encode_request(request, 'o"') == (
        b'{"input":"x","model":"o\\"","store":true,"odd":1.50,"previous_response_id":"resp_1"}'
    )


# Answers


def test_the_usage_of_an_answer_is_read() -> None:
    assert read_answer(b'{"object":"response","output":[],"usage":{"input_tokens":5,"output_tokens":2}}') == Usage(
        5, output=2
    )
    assert read_answer(b'{"output":[],"status":"incomplete"}') is None
    assert read_answer(b'{"output":[],"status":"queued","error":null}') is None


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<html>", ProtocolError),
        (b"{}", ProtocolError),
        (b'{"choices":[]}', ProtocolError),
        (b'{"error":{"message":"x"}}', Unavailable),
        (b'{"output":[],"status":"failed"}', Unavailable),
    ],
)
def test_what_is_no_answer_is_an_error(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_answer(body)


# Streams


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
    assert stream.pass_on(delta) == delta and stream.closing() is None
    assert stream.pass_on(delta + COMPLETED + delta) == delta + COMPLETED
    assert stream.pass_on(delta) == b"" and stream.closing() == b"" and not stream.has_failed
    assert meter.usage == Usage(input=5, output=2) and meter.events == 4


def test_the_name_of_an_end_in_a_text_is_none() -> None:
    stream = openai_responses.read_stream(Meter(), hides_usage=False, choices=1)
    for text in ("response.completed", "error", '"response.failed"'):
        delta = event("response.output_text.delta", delta=text)
        assert stream.pass_on(delta) == delta
    broken = b'data: {"type":"response.completed", \n\n'
    assert stream.pass_on(broken) == broken
    assert stream.closing() is None and not stream.has_failed


@pytest.mark.parametrize("kind", ["error", "response.failed"])
def test_an_error_ends_a_stream_that_is_not_complete(kind: str) -> None:
    stream = openai_responses.read_stream(Meter(), hides_usage=False, choices=1)
    failed = event(kind, response={"output": []})
    assert stream.pass_on(failed + COMPLETED) == failed
    assert stream.has_failed and not stream.is_done and stream.pass_on(COMPLETED) == b""


# Errors


def test_an_error_event_is_read_by_who_knows_either_shape() -> None:
    written = encode_error_event(ModelNotFound("no such model", param="model"))
    assert written.startswith(b"event: error\ndata: ") and written.endswith(b"\n\n")
    told = json.loads(written.partition(b"data: ")[2])
    flat = {"type": "error", "sequence_number": 0, "message": "no such model", "param": "model"}
    assert {**flat, "code": "model_not_found"}.items() <= told.items()
    assert told["error"]["code"] == "model_not_found" and told["error"]["type"] == "invalid_request_error"

import json
from typing import Any

import pytest

from gateway.core.chat import ChatRequest
from gateway.core.errors import ContextTooLong, InvalidRequest, ProtocolError, Rejected, Unavailable
from gateway.core.exchange import Meter
from gateway.core.usage import Usage
from gateway.dialects import anthropic_messages, openai_chat, openai_completions, openai_responses
from gateway.dialects.base import Dialect
from gateway.dialects.bridge import TRANSLATED_LIMIT, bridge
from gateway.dialects.openai_chat.observer import ChatStreamObserver
from tests.support.replay import DONE, ROLE, chunk
from tests.unit.dialects.anthropic_messages.test_observer import END, OPEN, START, STOP, delta, event

REQUEST = openai_responses.decode_request(b'{"model":"m","input":"x","stream":true}')
PROMPT = openai_completions.decode_request(b'{"model":"m","prompt":"x","stream":true}')


def request(client: Dialect, **fields: Any) -> ChatRequest:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]} | fields
    return client.decode_request(json.dumps(body).encode())


def test_between_two_that_speak_the_same_bytes_pass() -> None:
    between = bridge(openai_chat, openai_chat)
    given_request = request(openai_chat)
    assert between.encode_request(given_request, "m", drops_params=True, default_max_tokens=5) is given_request.raw
    body = json.dumps({"choices": [], "usage": {"prompt_tokens": 3}}).encode()
    answer, usage = between.read_answer(body, given_request, 0.0)
    assert answer is body and usage == Usage(input=3)
    assert isinstance(between.read_stream(Meter(), given_request, 0.0), ChatStreamObserver)
    error = Rejected("x", status=400, body=b"{odd", content_type="")
    assert between.translate_error(error) == b"{odd"


def test_who_did_not_ask_for_usage_in_the_same_dialect_does_not_get_it() -> None:
    codec = bridge(openai_chat, openai_chat).read_stream(Meter(), request(openai_chat, stream=True), 0.0)
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":3}}\n\n'
    assert codec.forward(chunk("a") + usage) == chunk("a")


@pytest.mark.parametrize(("given", "default", "sent"), [(7, 5, 7), (None, 5, 5), (None, None, 4096)])
def test_a_bound_that_must_be_is_the_clients_or_the_models(given: int | None, default: int | None, sent: int) -> None:
    given_request = request(openai_chat, max_tokens=given)
    body = bridge(openai_chat, anthropic_messages).encode_request(given_request, "m", default_max_tokens=default)
    assert json.loads(body)["max_tokens"] == sent


def test_a_bound_that_need_not_be_is_not_invented() -> None:
    body = bridge(anthropic_messages, openai_chat).encode_request(
        request(anthropic_messages), "m", default_max_tokens=5
    )
    assert "max_tokens" not in json.loads(body)


def test_what_can_not_be_said_is_refused_or_dropped_as_configured() -> None:
    between = bridge(openai_chat, anthropic_messages)
    with pytest.raises(InvalidRequest):
        between.encode_request(request(openai_chat, seed=1), "m")
    assert "seed" not in json.loads(between.encode_request(request(openai_chat, seed=1), "m", drops_params=True))


def test_an_answer_without_a_date_gets_ours() -> None:
    body = {"type": "message", "id": "i", "model": "m", "content": [], "usage": {"input_tokens": 3}}
    between = bridge(openai_chat, anthropic_messages)
    answer, usage = between.read_answer(json.dumps(body).encode(), request(openai_chat), 1234.5)
    assert json.loads(answer)["created"] == 1234 and usage == Usage(input=3)
    codec = between.read_stream(Meter(), request(openai_chat, stream=True), 1234.5)
    assert b'"created":1234' in codec.forward(START)


def test_an_answer_without_a_model_gets_the_one_that_was_asked_for() -> None:
    between, given_request = bridge(anthropic_messages, openai_chat), request(anthropic_messages)
    answer, _ = between.read_answer(
        json.dumps({"choices": [{"message": {"content": "x"}}]}).encode(), given_request, 0.0
    )
    assert json.loads(answer)["model"] == given_request.model
    codec = between.read_stream(Meter(), request(anthropic_messages, stream=True), 0.0)
    nameless = b'data: {"choices": [{"index": 0, "delta": {"content": "x"}}]}\n\n'
    assert f'"model":"{given_request.model}"'.encode() in codec.forward(nameless)


def test_a_date_of_the_providers_stays() -> None:
    between = bridge(anthropic_messages, openai_chat)
    story = json.dumps({"id": "i", "created": 77, "choices": [{"message": {"content": "x"}}]}).encode()
    assert openai_chat.decode_answer(story).created == 77
    codec = between.read_stream(Meter(), request(anthropic_messages, stream=True), 9.0)
    assert codec.forward(ROLE + chunk("a")).startswith(b"event: message_start"), "messages have no date"


@pytest.mark.parametrize(("body", "error"), [(b"<html>", ProtocolError), (b'{"type":"error"}', Unavailable)])
def test_an_answer_that_is_none_is_the_providers_fault(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        bridge(openai_chat, anthropic_messages).read_answer(body, request(openai_chat), 0.0)


# Rejections


@pytest.mark.parametrize(
    ("client", "provider", "body", "expected"),
    [
        (
            anthropic_messages,
            openai_chat,
            {"error": {"message": "bad tool", "type": "invalid_request_error", "param": "tools", "code": "x"}},
            {"type": "error", "error": {"type": "invalid_request_error", "message": "bad tool"}},
        ),
        (
            anthropic_messages,
            openai_chat,
            {"error": {"message": "200 > 100", "type": "x", "param": None, "code": "context_length_exceeded"}},
            {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 200 > 100"}},
        ),
        (
            openai_chat,
            anthropic_messages,
            {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 2 > 1"}},
            {
                "error": {
                    "message": "prompt is too long: 2 > 1",
                    "type": "invalid_request_error",
                    "param": None,
                    "code": "context_length_exceeded",
                }
            },
        ),
    ],
)
def test_a_rejection_comes_in_the_clients_shape(
    client: Dialect, provider: Dialect, body: dict[str, Any], expected: dict[str, Any]
) -> None:
    kind = ContextTooLong if "bad tool" not in str(body) else Rejected
    error = kind("no", status=400, body=json.dumps(body).encode(), content_type="application/json")
    assert json.loads(bridge(client, provider).translate_error(error)) == expected


def test_a_rejection_that_nobody_can_read_is_told_in_our_words() -> None:
    error = Rejected("the provider rejected the request", status=422, body=b"<html>", content_type="text/html")
    body = json.loads(bridge(anthropic_messages, openai_chat).translate_error(error))
    assert body["error"]["message"] == "the provider rejected the request"


# Streams


def test_the_first_content_is_judged_as_in_the_providers_dialect() -> None:
    codec = bridge(openai_chat, anthropic_messages).read_stream(Meter(), request(openai_chat, stream=True), 0.0)
    assert [codec.kind(one) for one in (START, OPEN, delta("x"), STOP)] == ["prelude", "prelude", "content", "end"]
    with pytest.raises(Unavailable):
        codec.kind(event("error", error={"type": "x", "message": "y"}))


def test_a_complete_stream_without_its_last_event_is_closed_for_the_client() -> None:
    codec = bridge(anthropic_messages, openai_chat).read_stream(Meter(), request(anthropic_messages, stream=True), 0.0)
    sent = codec.forward(ROLE + chunk("a") + chunk(finish="stop"))
    assert b"message_stop" not in sent
    closing = codec.closing()
    assert closing is not None and closing.endswith(b'data: {"type":"message_stop"}\n\n')
    assert codec.closing() == b"" and codec.forward(chunk("late")) == b""


def test_an_end_without_a_reason_is_no_end() -> None:
    codec = bridge(anthropic_messages, openai_chat).read_stream(Meter(), request(anthropic_messages, stream=True), 0.0)
    assert b"message_stop" not in codec.forward(ROLE + chunk("a") + DONE)
    assert codec.closing() is None
    codec = bridge(openai_chat, anthropic_messages).read_stream(Meter(), request(openai_chat, stream=True), 0.0)
    assert b"[DONE]" not in codec.forward(START + delta("a") + STOP)
    assert codec.closing() is None


def test_what_can_not_be_read_ends_the_stream_with_an_error() -> None:
    for garbage in (
        b"data: {x\n\n",
        b'data: {"choices":[{"delta":{"tool_calls":[{"index":3}]}}]}\n\n',
        b"data: \xff\n\n",
    ):
        codec = bridge(anthropic_messages, openai_chat).read_stream(
            Meter(), request(anthropic_messages, stream=True), 0.0
        )
        sent = codec.forward(ROLE + chunk("a") + garbage + chunk("b") + DONE)
        assert codec.has_failed and codec.closing() == b""
        assert b'"text":"a"' in sent and b'"b"' not in sent and b"message_stop" not in sent
        assert sent.rpartition(b"event: ")[2].startswith(b"error\n")


def test_an_error_of_the_providers_is_told_and_nothing_follows() -> None:
    meter = Meter()
    codec = bridge(openai_chat, anthropic_messages).read_stream(meter, request(openai_chat, stream=True), 0.0)
    error = event("error", error={"type": "overloaded_error", "message": "busy"})
    sent = codec.forward(START + OPEN + delta("a") + error + END + STOP)
    last = json.loads(sent.split(b"\n\n")[-2].removeprefix(b"data: "))
    assert last == {"error": {"message": "busy", "type": "overloaded_error", "param": None, "code": None}}
    assert codec.has_failed and meter.usage == Usage(input=7, output=1)


def test_events_that_end_in_two_ways_are_told_apart() -> None:
    codec = bridge(openai_chat, anthropic_messages).read_stream(Meter(), request(openai_chat, stream=True), 0.0)
    mixed = (START + OPEN + delta("a")).replace(b"\n", b"\r\n") + delta("b")
    sent = codec.forward(mixed)
    assert b'"content":"a"' in sent and b'"content":"b"' in sent


@pytest.mark.parametrize("stream", [OPEN + delta("a"), START + START + OPEN + delta("a")], ids=["none", "two"])
def test_a_stream_that_does_not_begin_once_ends_in_an_error(stream: bytes) -> None:
    codec = bridge(openai_chat, anthropic_messages).read_stream(Meter(), request(openai_chat, stream=True), 0.0)
    sent = codec.forward(stream + END + STOP)
    assert codec.has_failed and b"[DONE]" not in sent
    assert "error" in json.loads(sent.split(b"\n\n")[-2].removeprefix(b"data: "))


def test_more_than_can_be_remembered_ends_in_an_error() -> None:
    codec = bridge(openai_responses, openai_chat).read_stream(Meter(), REQUEST, 0.0)
    codec.forward(ROLE)
    sizes = 0
    while not codec.has_failed:
        sent = codec.forward(chunk("a" * 2**20))
        sizes += 2**20
    assert sizes <= TRANSLATED_LIMIT + 2**20 and sent.count(b"event: error") == 1


@pytest.mark.parametrize("created", [1e300, -1, 2**63, 0])
def test_a_date_that_is_none_is_ours(created: float) -> None:
    between, given_request = bridge(openai_completions, openai_chat), PROMPT
    choice = {"message": {"role": "assistant", "content": "a"}, "delta": {"content": "a"}, "finish_reason": "stop"}
    answer = json.dumps({"id": "i", "created": created, "choices": [choice]}).encode()
    assert json.loads(between.read_answer(answer, given_request, 7.5)[0])["created"] == 7
    sent = between.read_stream(Meter(), given_request, 7.5).forward(b"data: %b\n\n" % answer)
    assert json.loads(sent.split(b"\n\n")[0].removeprefix(b"data: "))["created"] == 7


def test_an_answer_that_can_not_be_read_to_its_depths_is_a_fault_of_the_providers() -> None:
    call = b'{"type":"tool_use","id":"c","name":"f","input":"\xff"}'
    answer = b'{"id":"i","content":[%b],"stop_reason":"tool_use"}' % call
    with pytest.raises(ProtocolError):
        bridge(openai_chat, anthropic_messages).read_answer(answer, request(openai_chat), 0.0)

"""Messages: what is read, and the bytes of what is said."""

import json
from typing import Any

import pytest

from gateway.providers.simulator_behaviour import behaviour_of
from gateway.simulator.answer import Answer, compose, signature_of
from gateway.simulator.ask import Ask, BadAsk
from gateway.simulator.face import Stream, Trouble
from gateway.simulator.messages import CountTokens, Messages
from tests.support import sse

USER = {"role": "user", "content": "two words"}


def read(**body: Any) -> Ask:
    return Messages.read(json.dumps({"model": "sim", "max_tokens": 99, "messages": [USER], **body}).encode(), {})


def answer(model: str, **facts: Any) -> Answer:
    return compose(Ask(model, **facts), behaviour_of(model), number=7, created=0)


def stream(model: str, **facts: Any) -> Stream:
    told = Messages.tell(answer(model, stream=True, **facts))
    assert not isinstance(told, bytes)
    return told


def events(model: str, **facts: Any) -> list[Any]:
    told = stream(model, **facts)
    data = b"".join(
        [*told.opening(), *(before + event for before, event in told.contents()), *told.ending(), told.mark()]
    )
    split = sse.split(data)
    assert [event.name for event in split] == [event.json()["type"] for event in split]
    return [event.json() for event in split]


def document(model: str, **facts: Any) -> Any:
    told = Messages.tell(answer(model, **facts))
    assert isinstance(told, bytes)
    return json.loads(told)


def test_a_request_is_read() -> None:
    tools = [{"name": "find", "input_schema": {}}, {"type": "web_search_20250305", "name": "web_search"}]
    ask = read(stream=True, system=[{"type": "text", "text": "be brief"}], tools=tools, stop_sequences=["x"])
    assert ask == Ask(
        "sim",
        stream=True,
        wants_usage=True,
        max_tokens=99,
        words=4,
        tool_names=("find", "web_search"),
        heard=("two words",),
        stop=("x",),
    )
    schema = {"type": "object"}
    assert read(output_config={"format": {"type": "json_schema", "schema": schema}}).schema == schema
    assert read(output_config={"effort": "low"}, output_format=None).schema is None


def test_results_and_what_came_after_the_model_are_heard() -> None:
    call = {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "x", "input": {}}]}
    results = [{"type": "tool_result", "tool_use_id": one, "content": one} for one in ("a", "b")]
    ask = read(messages=[USER, call, {"role": "user", "content": [*results, {"type": "text", "text": "after"}]}])
    assert (ask.heard, ask.tool_results) == (("a", "b", "after"), 2)


@pytest.mark.parametrize(("signature", "is_forged"), [(signature_of("hm"), False), ("other", True), (None, True)])
def test_forged_thinking_is_found(signature: str | None, is_forged: bool) -> None:
    block = {"type": "thinking", "thinking": "hm", "signature": signature}
    assert read(messages=[USER, {"role": "assistant", "content": [block]}, USER]).has_forged_thoughts == is_forged


@pytest.mark.parametrize("body", [b"{", b'{"messages": []}', b'{"model": "sim", "messages": []}'])
def test_anything_else_is_refused(body: bytes) -> None:
    with pytest.raises(BadAsk):
        Messages.read(body, {})


def test_counting_needs_no_max_tokens() -> None:
    ask = CountTokens.read(json.dumps({"model": "sim", "messages": [USER]}).encode(), {})
    assert CountTokens.tell(compose(ask, behaviour_of("sim"), 1, 0)) == b'{"input_tokens":2}'


def test_a_stream_is_start_ping_blocks_delta_stop() -> None:
    kinds = [event["type"] for event in events("sim-tokens2")]
    assert kinds == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_blocks_follow_each_other_and_thinking_is_signed() -> None:
    told = events("sim-think2-script1-echo", heard=("hello",))
    starts = [event["content_block"] for event in told if event["type"] == "content_block_start"]
    assert [start["type"] for start in starts] == ["thinking", "text", "tool_use"]
    deltas = [(event["index"], event["delta"]) for event in told if event["type"] == "content_block_delta"]
    thinking = "".join(delta.get("thinking", "") for _, delta in deltas)
    [signature] = [delta["signature"] for _, delta in deltas if delta["type"] == "signature_delta"]
    assert signature == signature_of(thinking)
    assert "".join(delta["partial_json"] for index, delta in deltas if index == 2) == '{"k": 1}'
    stops = [event["index"] for event in told if event["type"] == "content_block_stop"]
    assert stops == [0, 1, 2]


def test_usage_stands_at_both_ends_and_the_cache_beside_the_input() -> None:
    told = events("sim-tokens3-cached_tokens2-written_tokens1-prompt_tokens9")
    start, end = told[0]["message"]["usage"], told[-2]["usage"]
    assert (start["output_tokens"], end["output_tokens"]) == (1, 3)
    for usage in (start, end):
        classes = [usage[f"{name}input_tokens"] for name in ("", "cache_read_", "cache_creation_")]
        assert classes == [6, 2, 1]
    assert all('"usage"' not in json.dumps(event) for event in events("sim-no_usage"))
    assert "usage" not in document("sim-no_usage")
    assert document("sim-think2-tokens1")["usage"]["output_tokens_details"] == {"thinking_tokens": 2}


@pytest.mark.parametrize(
    ("model", "facts", "reason"),
    [
        ("sim", {}, "end_turn"),
        ("sim", {"max_tokens": 3}, "max_tokens"),
        ("sim", {"stop": ("café",)}, "stop_sequence"),
        ("sim-tools1", {}, "tool_use"),
        ("sim-refuse", {}, "refusal"),
    ],
)
def test_every_reason_to_stop_is_named(model: str, facts: dict[str, Any], reason: str) -> None:
    whole, streamed = document(model, **facts), events(model, **facts)[-2]["delta"]
    assert whole["stop_reason"] == streamed["stop_reason"] == reason
    assert whole["stop_sequence"] == streamed["stop_sequence"] == ("café" if reason == "stop_sequence" else None)
    assert (whole["stop_details"] is not None) == (reason == "refusal")


def test_an_empty_answer_has_no_blocks() -> None:
    assert document("sim-tokens0")["content"] == []
    assert [event["type"] for event in events("sim-tokens0")] == [
        "message_start",
        "ping",
        "message_delta",
        "message_stop",
    ]


def test_cut_arguments_are_an_empty_input() -> None:
    assert document("sim-script1", max_tokens=1)["content"][0]["input"] == {}


def test_pings_stand_before_every_content_event() -> None:
    assert sum(event["type"] == "ping" for event in events("sim-tokens3-pings")) == 4


def test_errors_have_the_vendors_shape_and_words() -> None:
    status, body = Messages.refusal(Trouble(429, "insufficient_quota", "y"))
    assert status == 402 and json.loads(body)["error"]["type"] == "billing_error"
    status, body = Messages.refusal(Trouble(400, "context_length_exceeded", "y"))
    assert status == 400 and json.loads(body)["error"]["message"] == "prompt is too long: y"
    [failure] = sse.split(stream("sim").failure())
    assert failure.name == "error" and failure.json()["error"]["type"] == "overloaded_error"

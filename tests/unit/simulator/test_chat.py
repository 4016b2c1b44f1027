"""Chat completions: what is read, and the bytes of what is said."""

import json
from typing import Any

import pytest

from gateway.providers.simulator_behaviour import behaviour_of
from gateway.simulator.answer import Answer, compose
from gateway.simulator.ask import Ask, BadAsk
from gateway.simulator.chat import Chat, error_body, model_of
from gateway.simulator.face import Trouble
from tests.support import sse


def read(**body: Any) -> Ask:
    return Chat.read(json.dumps({"model": "sim", **body}).encode(), {})


def answer(model: str, **facts: Any) -> Answer:
    return compose(Ask(model, **facts), behaviour_of(model), number=7, created=1_700_000_000)


def deltas(model: str, **facts: Any) -> list[Any]:
    told = Chat.tell(answer(model, stream=True, **facts))
    assert not isinstance(told, bytes)
    return [sse.chunks_of(event)[0]["choices"][0]["delta"] for _, event in told.contents()]


def message(model: str, **facts: Any) -> Any:
    told = Chat.tell(answer(model, **facts))
    assert isinstance(told, bytes)
    return json.loads(told)["choices"][0]["message"]


def test_the_prompt_counts_a_token_for_each_word_of_all_texts() -> None:
    parts = [{"type": "text", "text": "three more words"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": parts},
        {"role": "x", "content": None},
    ]
    assert read(messages=messages).words == 5
    assert read(messages=[]).words == 1


def test_streaming_usage_limits_and_tools_are_read() -> None:
    tools = [{"type": "function", "function": {"name": "find"}}, {"type": "function", "function": {"name": "book"}}]
    ask = read(
        stream=True,
        stream_options={"include_usage": True},
        max_completion_tokens=9,
        max_tokens=5,
        tools=tools,
        stop="x",
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
    )
    assert ask == Ask(
        "sim",
        stream=True,
        wants_usage=True,
        max_tokens=9,
        tool_names=("find", "book"),
        stop=("x",),
        schema={"type": "object"},
    )
    assert read(max_tokens=5).max_tokens == 5
    assert read(stream=None, stream_options=None, tools=None, stop=None, response_format=None) == Ask("sim")
    assert read(response_format={"type": "json_object"}).schema == {}


def test_what_came_after_the_model_spoke_is_heard() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": []}
    results = [{"role": "tool", "tool_call_id": one, "content": one} for one in ("a", "b")]
    ask = read(messages=[{"role": "user", "content": "before"}, call, *results, {"role": "user", "content": "after"}])
    assert (ask.heard, ask.tool_results) == (("a", "b", "after"), 2)
    assert read(messages=[{"role": "system", "content": "x"}, {"role": "user", "content": "first"}]).heard == ("first",)


@pytest.mark.parametrize("body", [b"{", b'{"messages": []}', b'{"model": 3}'])
def test_anything_else_is_refused(body: bytes) -> None:
    with pytest.raises(BadAsk):
        Chat.read(body, {})


def test_a_path_may_name_the_model() -> None:
    assert Chat.read(b"{}", {"deployment": "sim-seed2"}).model == "sim-seed2"
    assert model_of("a", {"deployment": "b"}) == "a"


def test_thinking_comes_first_and_is_told_apart() -> None:
    assert [set(delta) for delta in deltas("sim-think2-tokens1")] == [{"reasoning_content"}] * 2 + [{"content"}]
    said = message("sim-think2-tokens1")
    assert said["reasoning_content"] == "dolor naïve " and said["content"] == "lorem "


def test_a_refusal_is_no_content() -> None:
    assert [set(delta) for delta in deltas("sim-refuse-tokens2")] == [{"refusal"}] * 2
    said = message("sim-refuse-tokens2")
    assert said["content"] is None and said["refusal"] == "lorem café "


def test_text_may_stand_before_calls() -> None:
    said = message("sim-script3-echo", heard=("hello",), tool_results=1)
    assert said["content"] == "hello"
    assert said["tool_calls"] == [
        {"id": "call_step_2", "type": "function", "function": {"name": "step", "arguments": '{"k": 2}'}}
    ]
    assert [set(delta) for delta in deltas("sim-script3-echo", heard=("hello",))] == [{"content"}] + [
        {"tool_calls"}
    ] * 2


def test_without_a_role_event_the_first_delta_has_it() -> None:
    told = Chat.tell(answer("sim-no_role-tokens2", stream=True))
    assert not isinstance(told, bytes) and list(told.opening()) == []
    assert ["role" in delta for delta in deltas("sim-no_role-tokens2")] == [True, False]
    assert "role" in deltas("sim-no_role-tools1-tokens2")[0]


def test_usage_knows_its_parts() -> None:
    told = Chat.tell(answer("sim-think2-tokens3-cached_tokens4-written_tokens5-prompt_tokens20"))
    assert isinstance(told, bytes)
    assert json.loads(told)["usage"] == {
        "prompt_tokens": 20,
        "completion_tokens": 5,
        "total_tokens": 25,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }


def test_errors_have_the_vendors_four_fields_and_its_types() -> None:
    kinds = {
        status: json.loads(error_body(Trouble(status, "x", "y")))["error"]["type"]
        for status in (400, 401, 403, 429, 503)
    }
    assert kinds == {
        400: "invalid_request_error",
        401: "authentication_error",
        403: "permission_error",
        429: "rate_limit_error",
        503: "server_error",
    }
    status, body = Chat.refusal(Trouble(429, "insufficient_quota", "y"))
    error = {"message": "y", "type": "insufficient_quota", "param": None, "code": "insufficient_quota"}
    assert (status, json.loads(body)) == (429, {"error": error})

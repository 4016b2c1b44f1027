"""Responses: what is read, and the events of what is said."""

import json
from typing import Any

import pytest

from gateway.providers.simulator_behaviour import behaviour_of
from gateway.simulator.answer import compose
from gateway.simulator.ask import Ask, BadAsk
from gateway.simulator.responses import Responses
from tests.support import sse


def read(**body: Any) -> Ask:
    return Responses.read(json.dumps({"model": "sim", **body}).encode(), {})


def events(model: str, **body: Any) -> list[Any]:
    told = Responses.tell(compose(read(model=model, stream=True, **body), behaviour_of(model), 7, 0))
    assert not isinstance(told, bytes)
    data = b"".join(
        [*told.opening(), *(before + event for before, event in told.contents()), *told.ending(), told.mark()]
    )
    split = sse.split(data)
    assert [event.name for event in split] == [event.json()["type"] for event in split]
    assert [event.json()["sequence_number"] for event in split] == list(range(len(split)))
    return [event.json() for event in split]


def document(model: str, **body: Any) -> Any:
    told = Responses.tell(compose(read(model=model, **body), behaviour_of(model), 7, 0))
    assert isinstance(told, bytes)
    return json.loads(told)


def test_a_text_is_one_users_words() -> None:
    ask = read(input="three words here", instructions="be brief", max_output_tokens=9)
    assert (ask.words, ask.heard, ask.max_tokens, ask.wants_usage) == (5, ("three words here",), 9, True)


def test_items_are_read() -> None:
    call = {"type": "function_call", "call_id": "a", "name": "x", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "a", "output": "result one"}
    listed = {**output, "output": [{"type": "input_text", "text": "two"}]}
    tools = [{"type": "function", "name": "find"}, {"type": "web_search"}]
    text = {"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}}}
    ask = read(input=[{"role": "user", "content": "before"}, call, output, listed], tools=tools, text=text)
    assert (ask.heard, ask.tool_results, ask.words) == (("result one", "two"), 2, 4)
    assert (ask.tool_names, ask.schema) == (("find",), {"type": "object"})
    assert read(text={"format": {"type": "text"}}).schema is None


@pytest.mark.parametrize("body", [b"{", b"{}", b'{"model": "sim", "input": 3}'])
def test_anything_else_is_refused(body: bytes) -> None:
    with pytest.raises(BadAsk):
        Responses.read(body, {})


def test_a_stream_tells_how_each_item_comes_to_be() -> None:
    assert [event["type"].removeprefix("response.") for event in events("sim-think1-tokens2")] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event["type"].removeprefix("response.") for event in events("sim-script1")][2:] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    kinds = [event["type"] for event in events("sim-refuse-tokens1")]
    assert "response.refusal.delta" in kinds and "response.refusal.done" in kinds


@pytest.mark.parametrize("model", ["sim-tokens3", "sim-think2-tokens3", "sim-script1-echo", "sim-refuse"])
def test_the_last_event_holds_the_items_that_were_told(model: str) -> None:
    told = events(model, input="hello")
    done = [event["item"] for event in told if event["type"] == "response.output_item.done"]
    assert told[-1]["response"]["output"] == done == document(model, input="hello")["output"]


def test_a_response_repeats_its_request() -> None:
    body = document("sim", input="x", instructions="brief", metadata={"a": "b"}, temperature=0.5, store=False)
    assert (body["instructions"], body["metadata"], body["temperature"], body["store"]) == (
        "brief",
        {"a": "b"},
        0.5,
        False,
    )
    assert body["tool_choice"] == "auto"


def test_usage_knows_its_parts_and_can_be_missing() -> None:
    usage = document("sim-think2-tokens3-cached_tokens4-written_tokens5-prompt_tokens20", input="x")["usage"]
    assert usage == {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 5},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 25,
    }
    assert document("sim-no_usage")["usage"] is None


def test_only_the_last_item_of_a_cut_answer_is_incomplete() -> None:
    body = document("sim-script1-echo", input="hello", max_output_tokens=2)
    assert [item["status"] for item in body["output"]] == ["completed", "incomplete"]
    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})


def test_thoughts_are_sealed_where_asked_for() -> None:
    sealed = document("sim-think2", include=["reasoning.encrypted_content"])["output"][0]
    assert sealed["encrypted_content"] and "encrypted_content" not in document("sim-think2")["output"][0]

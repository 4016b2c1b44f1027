"""Neutral events as a stream of responses."""

import json
from typing import Any

import pytest

from gateway.core.conversation import (
    Failure,
    Finish,
    RefusalDelta,
    Signature,
    Start,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStart,
)
from gateway.dialects import openai_responses
from gateway.streaming.sse import events


def event(kind: str, **members: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **members}).encode())


def read(*given: bytes) -> list[StreamEvent]:
    decoder = openai_responses.open_decoder()
    return [found for one in given for found in decoder.feed(one)]


def encoder() -> Any:
    return openai_responses.open_encoder(openai_responses.decode_request(b'{"model":"m","input":"x","stream":true}'))


def reported(*story: StreamEvent, ends: bool = True) -> list[dict[str, Any]]:
    writer = encoder()
    written = b"".join(map(writer.encode, story)) + (writer.finish() if ends else b"")
    return [json.loads(one.partition(b"data: ")[2]) for one in events(written)]


def output_of(*story: StreamEvent) -> Any:
    return reported(*story)[-1]["response"]["output"]


def test_an_answer_of_nothing_is_complete() -> None:
    found = reported(Start("r", "", 7), Finish("end"))
    assert [one["type"] for one in found] == ["response.created", "response.in_progress", "response.completed"]
    assert found[-1]["response"]["output"] == [] and found[-1]["response"]["model"] == "m"


def test_a_call_without_arguments_gets_an_empty_object() -> None:
    found = reported(Start("r", "m"), ToolCallStart(0, "c", "f"), Finish("tool_use"))
    assert [one["delta"] for one in found if one["type"].endswith(".delta")] == ["{}"]
    assert found[-1]["response"]["output"][0]["arguments"] == "{}"


def test_words_go_on_in_their_part_after_a_call_took_a_turn() -> None:
    items = output_of(
        Start("r", "m"),
        ToolCallStart(0, "c", "f"),
        TextDelta(1, "a"),
        ToolCallDelta(0, "{}"),
        TextDelta(1, "b"),
        Finish("tool_use"),
    )
    assert items[0]["arguments"] == "{}" and [part["text"] for part in items[1]["content"]] == ["ab"]


def test_words_after_a_call_are_a_message_of_their_own() -> None:
    items = output_of(Start("r", "m"), TextDelta(0, "a"), ToolCallStart(1, "c", "f"), TextDelta(2, "b"), Finish("end"))
    assert [item["type"] for item in items] == ["message", "function_call", "message"]


@pytest.mark.parametrize(
    ("story", "statuses"),
    [
        ((TextDelta(0, "a"), Finish("max_tokens")), ["incomplete"]),
        ((TextDelta(0, "a"), ToolCallStart(1, "c", "f"), Finish("max_tokens")), ["completed", "incomplete"]),
        ((ToolCallStart(0, "c", "f"), TextDelta(1, "a"), Finish("context_window")), ["completed", "incomplete"]),
        ((TextDelta(0, "a"), Finish("end")), ["completed"]),
    ],
)
def test_what_was_cut_is_the_last_item(story: tuple[StreamEvent, ...], statuses: list[str]) -> None:
    found = reported(Start("r", "m"), *story)
    assert [item["status"] for item in found[-1]["response"]["output"]] == statuses
    assert found[-1]["type"] == f"response.{statuses[-1]}"


def test_a_signature_of_no_words_is_an_item_of_its_own() -> None:
    items = output_of(Start("r", "m"), Signature(0, "sig"), TextDelta(1, "a"), Finish("end"))
    assert (items[0]["summary"], items[0]["encrypted_content"]) == ([], "gateway-signature:sig")


def test_a_failure_is_told_to_both_kinds_of_clients() -> None:
    found = reported(Start("r", "m"), TextDelta(0, "a"), Failure("x", "overloaded_error"), ends=False)
    error, failed = found[-2:]
    assert (error["type"], error["message"], error["error"]["type"]) == ("error", "x", "overloaded_error")
    assert (failed["type"], failed["response"]["status"]) == ("response.failed", "failed")
    assert failed["response"]["error"] == {"code": "overloaded_error", "message": "x"}
    assert [one["type"] for one in reported(Failure("x"), ends=False)] == ["error"], (
        "there is no answer yet to have failed"
    )


def test_more_of_a_text_is_read_and_written_without_being_parsed() -> None:
    decoder, writer = openai_responses.open_decoder(), encoder()
    place = {"item_id": "m", "output_index": 0, "content_index": 0}
    first, second = (event("response.output_text.delta", sequence_number=at, **place, delta="a") for at in (4, 5))
    assert decoder.string_delta(first) is None and decoder.feed(first) == [TextDelta(0, "a")]
    assert decoder.string_delta(second) == b'"a"'
    writer.encode(Start("r", "m"))
    begun = writer.encode(TextDelta(0, "a"))
    number = max(json.loads(one.partition(b"data: ")[2])["sequence_number"] for one in events(begun))
    more = json.loads(writer.append(b'"b\\n"').partition(b"data: ")[2])
    assert (more["delta"], more["sequence_number"], more["logprobs"]) == ("b\n", number + 1, [])


def test_refusals_stream_as_such() -> None:
    found = read(event("response.refusal.delta", item_id="m", delta="no"), event("response.completed", response={}))
    assert found == [RefusalDelta(0, "no"), Start("", ""), Finish("refusal")]
    written = reported(Start("r", "m"), TextDelta(0, "a"), RefusalDelta(1, "no"), Finish("refusal"))
    assert [part["type"] for part in written[-1]["response"]["output"][0]["content"]] == ["output_text", "refusal"]
    assert {"response.refusal.delta", "response.refusal.done"} <= {one["type"] for one in written}
    assert written[-1]["type"] == "response.completed"


def test_thoughts_are_a_summary_that_ends_when_words_begin_or_a_signature_comes() -> None:
    seen = reported(Start("r", "m"), ThinkingDelta(0, "h"), ThinkingDelta(0, "m"), TextDelta(1, "a"), Finish("end"))
    kinds = [one["type"].removeprefix("response.") for one in seen]
    assert kinds[2:9] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
    item = seen[-1]["response"]["output"][0]
    assert (item["summary"][0]["text"], item["encrypted_content"]) == ("hm", None)
    signed = output_of(Start("r", "m"), ThinkingDelta(0, "hm"), Signature(0, "sig"), Finish("end"))
    assert signed[0]["encrypted_content"] == "gateway-signature:sig" and len(signed) == 1
    assert output_of(Start("r", "m"), Signature(0, data="x"), Finish("end"))[0]["encrypted_content"] == "gateway-data:x"


def test_each_item_ends_before_the_next_begins() -> None:
    """One agent library runs only the last of two parallel calls where items overlap."""
    stories: list[tuple[StreamEvent, ...]] = [
        (ToolCallStart(0, "a", "f"), ToolCallDelta(0, "{}"), ToolCallStart(1, "b", "g"), ToolCallDelta(1, "{}")),
        (ToolCallStart(0, "a", "f"), ToolCallStart(1, "b", "g"), ToolCallDelta(0, "{}"), ToolCallDelta(1, "{}")),
        (ToolCallStart(0, "a", "f"), ToolCallStart(1, "b", "g")),
        (
            ToolCallStart(0, "a", "f"),
            ToolCallDelta(0, '{"x":'),
            ToolCallStart(1, "b", "g"),
            ToolCallDelta(1, "{"),
            ToolCallDelta(0, "1}"),
            ToolCallDelta(1, "}"),
        ),
        (TextDelta(0, "w"), ToolCallStart(1, "a", "f"), ToolCallDelta(1, "{}"), TextDelta(2, "v")),
        (ThinkingDelta(0, "t"), ToolCallStart(1, "a", "f"), ToolCallDelta(1, "{}"), ThinkingDelta(2, "v")),
    ]
    for story in stories:
        found = reported(Start("r", "m"), *story, Finish("tool_use"))
        positions = [
            (one["type"].rpartition(".")[2], one["output_index"])
            for one in found
            if one["type"].startswith("response.output_item.")
        ]
        count = len(positions) // 2
        assert positions == [(kind, index) for index in range(count) for kind in ("added", "done")]
        assert all(json.loads(item["arguments"]) is not None for item in output_of_calls(found))


def output_of_calls(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for item in found[-1]["response"]["output"] if item["type"] == "function_call"]

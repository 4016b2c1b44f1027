"""What servers of responses do in their streams, and what a client sees of answers from elsewhere."""

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
    UsageReport,
)
from gateway.core.errors import ProtocolError
from gateway.core.usage import Usage
from gateway.dialects import openai_responses
from gateway.streaming.sse import events


def event(kind: str, **members: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **members}).encode())


def read(*given: bytes) -> list[StreamEvent]:
    decoder = openai_responses.open_decoder()
    return [found for one in given for found in decoder.feed(one)]


def encoder() -> Any:
    return openai_responses.open_encoder(openai_responses.decode_request(b'{"model":"m","input":"x","stream":true}'))


def told(*story: StreamEvent, ends: bool = True) -> list[dict[str, Any]]:
    writer = encoder()
    written = b"".join(map(writer.encode, story)) + (writer.finish() if ends else b"")
    return [json.loads(one.partition(b"data: ")[2]) for one in events(written)]


def output_of(*story: StreamEvent) -> Any:
    return told(*story)[-1]["response"]["output"]


# From a provider


def test_items_that_are_only_given_whole_are_read_from_their_end() -> None:
    message = {
        "type": "message",
        "id": "m1",
        "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "no"}],
    }
    call = {"type": "function_call", "id": "f1", "call_id": "c", "name": "f", "arguments": "{}"}
    thoughts = {
        "type": "reasoning",
        "id": "r1",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "g",
    }
    hidden = {"type": "reasoning", "id": "r2", "summary": [], "encrypted_content": "h"}
    found = read(*(event("response.output_item.done", item=item) for item in (thoughts, hidden, message, call)))
    assert found == [
        ThinkingDelta(0, "hm"),
        Signature(0, "openai-responses:r1:g"),
        Signature(1, data="openai-responses:r2:h"),
        TextDelta(2, "a"),
        RefusalDelta(3, "no"),
        ToolCallStart(4, "c", "f"),
        ToolCallDelta(4, "{}"),
    ]


def test_what_came_in_deltas_is_not_said_twice() -> None:
    call = {"type": "function_call", "id": "f1", "call_id": "c", "name": "f", "arguments": ""}
    found = read(
        event("response.output_item.added", output_index=0, item=call),
        event("response.function_call_arguments.delta", output_index=0, delta="{}"),
        event("response.output_item.done", output_index=0, item={**call, "arguments": "{}"}),
    )
    assert found == [ToolCallStart(0, "c", "f"), ToolCallDelta(0, "{}")]


def test_a_message_is_not_said_twice_and_its_usage_is_told_at_the_end() -> None:
    message = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "a"}]}
    delta = event("response.output_text.delta", item_id="m", delta="a")
    assert read(delta, event("response.output_item.done", item=message)) == [TextDelta(0, "a")]
    usage = UsageReport(Usage(input=5, output=2))
    for story in ((usage, Finish("end")), (Finish("end"), usage)):
        found = told(Start("r", "m"), TextDelta(0, "a"), *story)
        assert found[-1]["response"]["usage"]["total_tokens"] == 7


def test_an_item_is_found_by_its_id_its_place_or_being_the_last() -> None:
    def call(number: int) -> dict[str, Any]:
        return {"type": "function_call", "id": f"f{number}", "call_id": f"c{number}", "name": "f"}

    found = read(
        event("response.output_item.added", output_index=0, item=call(0)),
        event("response.output_item.added", output_index=1, item=call(1)),
        event("response.function_call_arguments.delta", item_id="f0", delta="a"),
        event("response.function_call_arguments.delta", item_id="other", output_index=0, delta="b"),
        event("response.function_call_arguments.delta", item_id="other", delta="c"),
    )
    assert [(one.index, one.arguments) for one in found if isinstance(one, ToolCallDelta)] == [
        (0, "a"),
        (0, "b"),
        (1, "c"),
    ]


def test_words_and_thoughts_need_no_announcement_but_calls_do() -> None:
    found = read(
        event("response.reasoning_text.delta", item_id="r", delta="hm"),
        event("response.output_text.delta", item_id="m", output_index=1, delta="a"),
        event("response.output_text.delta", item_id="m", output_index=1, delta="b"),
    )
    assert found == [ThinkingDelta(0, "hm"), TextDelta(1, "a"), TextDelta(1, "b")]
    with pytest.raises(ProtocolError):
        read(event("response.function_call_arguments.delta", item_id="f", delta="{"))


def test_paragraphs_of_a_summary_are_kept_apart() -> None:
    found = read(
        event("response.reasoning_summary_part.added", item_id="r", summary_index=0),
        event("response.reasoning_summary_text.delta", item_id="r", summary_index=0, delta="a"),
        event("response.reasoning_summary_part.added", item_id="r", summary_index=1),
        event("response.reasoning_summary_text.delta", item_id="r", summary_index=1, delta="b"),
    )
    assert found == [ThinkingDelta(0, "a"), ThinkingDelta(0, "\n\n"), ThinkingDelta(0, "b")]


def test_events_that_say_nothing_are_passed_over() -> None:
    assert read(b": comment\n\n", b"data:\n\n", b"data: [DONE]\n\n", event("keepalive"), event("response.odd")) == []
    assert read(event("response.output_text.delta", delta=""), event("response.function_call_arguments.delta")) == []


def test_an_answer_begins_once_and_ends_with_its_usage() -> None:
    response = {"id": "r", "model": "m", "created_at": 7}
    end = {**response, "status": "incomplete", "usage": {"input_tokens": 5, "output_tokens": 2}}
    found = read(
        event("response.created", response=response),
        event("response.in_progress", response=response),
        event("response.incomplete", response=end),
    )
    assert found == [Start("r", "m", 7), UsageReport(Usage(input=5, output=2)), Finish("max_tokens")]
    assert read(event("response.completed", response=response)) == [Start("r", "m", 7), Finish("end")]


@pytest.mark.parametrize(
    ("given", "failure"),
    [
        (event("error", message="x", code="c"), Failure("x", "server_error", "c")),
        (event("error", error={"message": "x", "type": "t", "code": 5}), Failure("x", "t", "5")),
        (event("error", error="x"), Failure("x", "server_error")),
        (event("error"), Failure("the provider reported an error", "server_error")),
    ],
)
def test_a_failure_is_told_in_any_of_its_shapes(given: bytes, failure: Failure) -> None:
    assert read(given) == [failure]


def test_an_answer_that_failed_says_why() -> None:
    response = {"id": "r", "model": "m", "error": {"code": "server_error", "message": "x"}}
    assert read(event("response.failed", response=response))[-1] == Failure("x", "server_error", "server_error")


@pytest.mark.parametrize("given", [b"data: x\n\n", b"data: []\n\n", b'data: {"type":1}\n\n'])
def test_what_is_no_event_is_an_error(given: bytes) -> None:
    with pytest.raises(ProtocolError):
        read(given)


@pytest.mark.parametrize("kind", ["response.output_item.added", "response.output_item.done"])
def test_a_tool_that_nobody_asked_for_is_an_error(kind: str) -> None:
    with pytest.raises(ProtocolError, match="web_search_call"):
        read(event(kind, item={"type": "web_search_call", "id": "w"}))


# To a client


def test_an_answer_of_nothing_is_complete() -> None:
    found = told(Start("r", "", 7), Finish("end"))
    assert [one["type"] for one in found] == ["response.created", "response.in_progress", "response.completed"]
    assert found[-1]["response"]["output"] == [] and found[-1]["response"]["model"] == "m"


def test_a_call_without_arguments_gets_an_empty_object() -> None:
    found = told(Start("r", "m"), ToolCallStart(0, "c", "f"), Finish("tool_use"))
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
    found = told(Start("r", "m"), *story)
    assert [item["status"] for item in found[-1]["response"]["output"]] == statuses
    assert found[-1]["type"] == f"response.{statuses[-1]}"


def test_a_signature_of_no_words_is_an_item_of_its_own() -> None:
    items = output_of(Start("r", "m"), Signature(0, "sig"), TextDelta(1, "a"), Finish("end"))
    assert (items[0]["summary"], items[0]["encrypted_content"]) == ([], "gateway-signature:sig")


def test_a_failure_is_told_to_both_kinds_of_clients() -> None:
    found = told(Start("r", "m"), TextDelta(0, "a"), Failure("x", "overloaded_error"), ends=False)
    error, failed = found[-2:]
    assert (error["type"], error["message"], error["error"]["type"]) == ("error", "x", "overloaded_error")
    assert (failed["type"], failed["response"]["status"]) == ("response.failed", "failed")
    assert failed["response"]["error"] == {"code": "overloaded_error", "message": "x"}
    assert [one["type"] for one in told(Failure("x"), ends=False)] == ["error"], "there is no answer yet to have failed"


def test_a_call_that_goes_on_but_never_began_is_an_error() -> None:
    with pytest.raises(ProtocolError):
        told(Start("r", "m"), ToolCallDelta(0, "{"), ends=False)


def test_more_of_a_text_is_read_and_written_without_being_parsed() -> None:
    decoder, writer = openai_responses.open_decoder(), encoder()
    place = {"item_id": "m", "output_index": 0, "content_index": 0}
    first, second = (event("response.output_text.delta", sequence_number=at, **place, delta="a") for at in (4, 5))
    assert decoder.more(first) is None and decoder.feed(first) == [TextDelta(0, "a")]
    assert decoder.more(second) == b'"a"'
    writer.encode(Start("r", "m"))
    begun = writer.encode(TextDelta(0, "a"))
    number = max(json.loads(one.partition(b"data: ")[2])["sequence_number"] for one in events(begun))
    more = json.loads(writer.more(b'"b\\n"').partition(b"data: ")[2])
    assert (more["delta"], more["sequence_number"], more["logprobs"]) == ("b\n", number + 1, [])


def test_refusals_stream_as_such() -> None:
    found = read(event("response.refusal.delta", item_id="m", delta="no"), event("response.completed", response={}))
    assert found == [RefusalDelta(0, "no"), Start("", ""), Finish("refusal")]
    written = told(Start("r", "m"), TextDelta(0, "a"), RefusalDelta(1, "no"), Finish("refusal"))
    assert [part["type"] for part in written[-1]["response"]["output"][0]["content"]] == ["output_text", "refusal"]
    assert {"response.refusal.delta", "response.refusal.done"} <= {one["type"] for one in written}
    assert written[-1]["type"] == "response.completed"


def test_thoughts_are_a_summary_that_ends_when_words_begin_or_a_signature_comes() -> None:
    seen = told(Start("r", "m"), ThinkingDelta(0, "h"), ThinkingDelta(0, "m"), TextDelta(1, "a"), Finish("end"))
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

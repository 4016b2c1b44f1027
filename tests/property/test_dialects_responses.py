"""OpenAI's responses keep their meaning in the other dialects and back; the official client's types accept them."""

import json
from typing import Any, Final, get_args

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.core.chat import ChatRequest
from gateway.core.conversation import (
    Completion,
    Conversation,
    Finish,
    Part,
    Refusal,
    RefusalDelta,
    Signature,
    Start,
    StreamEvent,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
    ToolCallDelta,
    Turn,
)
from gateway.core.errors import InvalidRequest
from gateway.core.exchange import Meter
from gateway.dialects import anthropic_messages, openai_chat, openai_responses
from gateway.dialects.base import ConversationDialect
from gateway.dialects.bridge import bridge
from gateway.dialects.openai_responses import decode_request, encode_request
from gateway.dialects.unsupported_params import UnsupportedParams
from gateway.streaming.sse import Framer, events
from tests.property.test_dialects import (
    TEXTS,
    completions,
    conversations,
    decoded_by_client,
    joined,
    meaning,
    merged,
    request_of,
    spoken,
    stated,
    streams,
    written,
)
from tests.property.test_openai_chat import VALUES

OTHERS: Final = st.sampled_from([openai_chat, anthropic_messages])
EVENTS: Final[TypeAdapter[Any]] = TypeAdapter(get_args(ResponseStreamEvent)[0])
TOOLS: Final = [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}]


def given_request(**more: Any) -> ChatRequest:
    return decode_request(json.dumps({"model": "m", "input": "x", "stream": True, **more}).encode())


def asked_in(dialect: ConversationDialect) -> ChatRequest:
    request: ChatRequest = given_request() if dialect is openai_responses else request_of(dialect)
    return request


def reported(stream: bytes) -> list[dict[str, Any]]:
    """Read a stream as the official client does: every event is of its types, and numbered."""
    found = []
    for number, event in enumerate(events(stream)):
        name, _, data = event.partition(b"\ndata: ")
        found.append(json.loads(data))
        EVENTS.validate_python(found[-1])
        assert name == b"event: " + found[-1]["type"].encode() and found[-1]["sequence_number"] == number
    return found


# Requests


@given(conversations(), OTHERS)
def test_a_request_means_the_same_in_another_dialect_and_back(given_: Conversation, other: ConversationDialect) -> None:
    calls = [part for turn in given_.turns for part in turn.parts if isinstance(part, ToolCall)]
    assume(not any('"_raw"' in call.arguments for call in calls))  # messages have a use for that name of their own
    without_stops = msgspec.structs.replace(given_, stop=())
    there = spoken(without_stops, openai_responses)
    back = spoken(there, other)
    again = spoken(back, openai_responses)
    words = meaning(without_stops, thoughts=False)
    for one in (there, back, again):
        assert meaning(merged(one), thoughts=False) == words


@given(conversations())
def test_what_the_provider_sealed_comes_back_to_it_and_other_thoughts_do_not(given_: Conversation) -> None:
    def sealed(turn: Turn, seal: str) -> Turn:
        return Turn(turn.role, tuple(seal_of(part, seal) for part in turn.parts))

    def seal_of(part: Part, seal: str) -> Part:
        return Thinking(part.text, f"{seal}rs_1:abc") if isinstance(part, Thinking) else part

    for seal, count in (("openai-responses:", 1), ("", 0)):
        turns = tuple(sealed(turn, seal) for turn in given_.turns)
        conversation = msgspec.structs.replace(given_, turns=turns, stop=())
        body = json.loads(openai_responses.from_conversation(conversation, "m", UnsupportedParams()))
        thoughts = [part.text for turn in turns for part in turn.parts if isinstance(part, Thinking)]
        items = [item for item in body["input"] if item["type"] == "reasoning"]
        assert [item["summary"][0]["text"] for item in items] == thoughts * count
        assert all((item["id"], item["encrypted_content"]) == ("rs_1", "abc") for item in items)


@given(VALUES, st.sampled_from(["input", "instructions", "tools", "text", "reasoning", "tool_choice", "metadata", "x"]))
def test_any_value_of_any_member_is_a_request_or_refused(value: str, name: str) -> None:
    members = {"model": '"m"', "input": '"x"', name: value}
    body = "{" + ",".join(f'"{key}":{text}' for key, text in members.items()) + "}"
    try:
        request = decode_request(body.encode())
        encode_request(request, "other")
        for provider in (openai_chat, anthropic_messages):
            bridge(openai_responses, provider).encode_request(request, "m", drops_params=True)
    except InvalidRequest as error:
        assert error.http_status == 400


@given(st.lists(VALUES, max_size=3), st.sampled_from(["content", "output", "summary", "arguments", "role", "type"]))
def test_any_item_is_taken_or_refused(values: list[str], name: str) -> None:
    for kind in ("message", "reasoning", "function_call", "function_call_output"):
        item = {"type": f'"{kind}"', "role": '"user"', "call_id": '"c"', "name": '"f"', name: f"[{','.join(values)}]"}
        text = "{" + ",".join(f'"{key}":{value}' for key, value in item.items()) + "}"
        try:
            request = decode_request(b'{"model":"m","input":[%b]}' % text.encode())
            bridge(openai_responses, openai_chat).encode_request(request, "m", drops_params=True)
        except InvalidRequest as error:
            assert error.http_status == 400


# Answers


@given(completions(), st.lists(TEXTS, max_size=1))
def test_an_answer_means_the_same_and_is_one_to_the_official_client(answer: Completion, refusals: list[str]) -> None:
    if answer.stop == "end" and refusals:
        answer = msgspec.structs.replace(answer, parts=(*answer.parts, Refusal(refusals[0])), stop="refusal")
    body = openai_responses.encode_answer(answer, given_request(tools=TOOLS, instructions="be brief"))
    told_ = Response.model_validate_json(body)
    assert told_.instructions == "be brief" and len(told_.tools) == 1
    back = openai_responses.decode_answer(body)
    assert joined(back.parts, thoughts=True) == joined(answer.parts, thoughts=True)
    assert (back.id, back.model, back.usage, back.created) == (answer.id, answer.model, answer.usage, answer.created)
    assert back.stop == answer.stop


@given(completions(), OTHERS)
def test_an_answer_reaches_a_client_of_another_dialect(answer: Completion, other: ConversationDialect) -> None:
    body = openai_responses.encode_answer(answer, given_request())
    sent, usage = bridge(other, openai_responses).read_answer(body, request_of(other), 7.0)
    assert joined(other.decode_answer(sent).parts, thoughts=True) == joined(answer.parts, thoughts=True)
    assert usage == answer.usage


# Streams


@given(streams(mixed=True))
def test_a_stream_is_read_as_it_was_written(story: list[StreamEvent]) -> None:
    stream = openai_responses_stream(story)
    assert decoded_by_client(stream, openai_responses) == stated(story)


def openai_responses_stream(story: list[StreamEvent]) -> bytes:
    encoder = openai_responses.open_encoder(given_request(tools=TOOLS))
    return b"".join(map(encoder.encode, story)) + encoder.finish()


@given(streams(mixed=True))
def test_the_official_client_reads_every_event_and_sums_up_what_the_last_one_says(story: list[StreamEvent]) -> None:
    found = reported(openai_responses_stream(story))
    grown: dict[int, Any] = {}
    done: dict[int, Any] = {}
    for event in found:
        match event["type"]:
            case "response.output_item.added":
                assert event["output_index"] == len(grown)
                grown[event["output_index"]] = ""
            case kind if kind.endswith(".delta"):
                assert event["output_index"] not in done
                grown[event["output_index"]] += event["delta"]
            case "response.output_item.done":
                done[event["output_index"]] = event["item"]
    assert found[-1]["type"] == "response.completed"
    assert found[-1]["response"]["output"] == [done[index] for index in sorted(grown)]
    assert {index: text_of(item) for index, item in done.items()} == grown


def text_of(item: dict[str, Any]) -> Any:
    match item["type"]:
        case "function_call":
            return item["arguments"]
        case "reasoning":
            return "".join(part["text"] for part in item["summary"])
    return "".join(part["text"] for part in item["content"])


@given(streams(mixed=True), OTHERS, st.booleans(), st.lists(st.integers(1, 400), min_size=1, max_size=8))
def test_a_translated_stream_says_the_same_however_it_is_cut(
    story: list[StreamEvent], other: ConversationDialect, is_client: bool, sizes: list[int]
) -> None:
    client, provider = (openai_responses, other) if is_client else (other, openai_responses)
    stream = written(story, other) if is_client else openai_responses_stream(story)
    meter, framer = Meter(), Framer(2**20)
    codec = bridge(client, provider).read_stream(meter, asked_in(client), 7.0)
    out, at = b"", 0
    while at < len(stream):
        sizes = [*sizes[1:], sizes[0]]
        out += codec.forward(framer.feed(stream[at : at + sizes[0]]))
        at += sizes[0]
    assert codec.closing() == b"" and not codec.has_failed
    assert decoded_by_client(out, client) == stated(story)
    assert meter.usage == stated(story).usage
    if is_client:
        reported(out)


@given(streams(), st.integers(0, 10**6), OTHERS, st.booleans())
def test_a_stream_that_breaks_off_never_looks_complete(
    story: list[StreamEvent], at: int, other: ConversationDialect, is_client: bool
) -> None:
    client, provider = (openai_responses, other) if is_client else (other, openai_responses)
    stream = written(story, other) if is_client else openai_responses_stream(story)
    marks = {openai_chat: b'"finish_reason":"', anthropic_messages: b'"message_stop"'}
    finished = stream.rindex(marks[other] if is_client else b"event: response.completed")
    framer = Framer(2**20)
    codec = bridge(client, provider).read_stream(Meter(), asked_in(client), 7.0)
    out = codec.forward(framer.feed(stream[: at % finished]))
    assert codec.closing() is None
    assert not any(event.startswith((b"event: response.completed", b"event: message_stop")) for event in events(out))


@given(st.lists(TEXTS, min_size=1, max_size=3), st.lists(TEXTS, min_size=1, max_size=3))
def test_words_refusals_and_sealed_thoughts_come_back_to_their_maker(words: list[str], refusals: list[str]) -> None:
    story: list[StreamEvent] = [
        Start("i", "m", 7),
        *(ThinkingDelta(0, text) for text in words),
        Signature(0, "sig"),
        Signature(1, data="xyz"),
        *(TextDelta(2, text) for text in words),
        *(RefusalDelta(3, text) for text in refusals),
        Finish("refusal"),
    ]
    found = reported(openai_responses_stream(story))
    items = found[-1]["response"]["output"]
    assert [item["type"] for item in items] == ["reasoning", "reasoning", "message"]
    assert [part["type"] for part in items[2]["content"]] == ["output_text", "refusal"]
    body = {"model": "m", "input": [{"role": "user", "content": "x"}, *items, {"role": "user", "content": "y"}]}
    conversation = openai_responses.to_conversation(decode_request(json.dumps(body).encode()))
    assert conversation.unsupported == ()
    assert conversation.turns[1].parts[:2] == (Thinking("".join(words), "sig"), Thinking(data="xyz"))
    assert [part.text for part in conversation.turns[1].parts[2:]] == ["".join(words), "".join(refusals)]  # type: ignore[union-attr]


@given(streams())
def test_the_fast_path_takes_deltas_though_they_are_numbered_and_padded(story: list[StreamEvent]) -> None:
    decoder, fast = openai_responses.open_decoder(), 0
    deltas = [event for event in story if isinstance(event, TextDelta | ThinkingDelta | ToolCallDelta)]
    for number, event in enumerate(events(openai_responses_stream(story))):
        padded = event.replace(b"}\n\n", b',"obfuscation":"%b"}\n\n' % (b"x" * number)) if b".delta" in event else event
        string = decoder.string_delta(padded)
        fast += string is not None
        if string is None:
            decoder.feed(padded)
    parts = {event.index for event in deltas}
    assert fast >= len(deltas) - len(parts)

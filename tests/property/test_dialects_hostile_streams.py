"""Whatever a provider streams, its client gets a stream of its own dialect that is in form, or an error: never an accident."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.errors import UpstreamError
from gateway.core.exchange import Meter
from gateway.dialects import anthropic_messages, openai_chat, openai_completions, openai_responses
from gateway.dialects.base import Dialect
from gateway.dialects.bridge import bridge
from gateway.streaming.sse import data_of, events

CLIENTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "chat": (openai_chat, {"messages": [{"role": "user", "content": "hi"}], "stream_options": {"include_usage": True}}),
    "messages": (anthropic_messages, {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}),
    "responses": (openai_responses, {"input": "hi"}),
    "completions": (openai_completions, {"prompt": "hi", "stream_options": {"include_usage": True}}),
}
ENDS = {
    "chat": b"data: [DONE]",
    "messages": b"event: message_stop",
    "responses": b"event: response.completed",
    "completions": b"data: [DONE]",
}

NUMBERS = st.sampled_from([0, 0, 0, 1, 1, 2, -1, 10**9, 2**64, -(2**70), 1e300, None])
TEXTS = st.sampled_from(
    ["", "a", "{", "}", '{"a":1}', '"', "\\", "\x00", "é", "\u2028", "data: [DONE]\n\n", "x" * 5000]
)
KINDS = ["text", "thinking", "tool_use", "redacted_thinking", "message", "reasoning", "function_call", "odd", "stop"]
WORDS = st.sampled_from(KINDS)
STOPS = st.sampled_from(["end_turn", "tool_use", "stop", "tool_calls", "length", "odd", None])


def some(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with any of the members."""
    return st.fixed_dictionaries({}, optional=members)


USAGE = some(
    input_tokens=NUMBERS, output_tokens=NUMBERS, prompt_tokens=NUMBERS, completion_tokens=NUMBERS,
    cache_read_input_tokens=NUMBERS, prompt_tokens_details=some(cached_tokens=NUMBERS),
    output_tokens_details=some(reasoning_tokens=NUMBERS),
)  # fmt: skip
NAMED = some(id=TEXTS, model=TEXTS, created=NUMBERS, created_at=NUMBERS, usage=USAGE, status=WORDS)
MESSAGES = st.one_of(
    st.fixed_dictionaries({"type": st.just("message_start"), "message": NAMED}),
    st.fixed_dictionaries(
        {"type": st.just("content_block_start"), "index": NUMBERS},
        optional={"content_block": some(type=WORDS, text=TEXTS, id=TEXTS, name=TEXTS, data=TEXTS, thinking=TEXTS)},
    ),
    st.fixed_dictionaries(
        {"type": st.just("content_block_delta"), "index": NUMBERS},
        optional={"delta": some(text=TEXTS, partial_json=TEXTS, thinking=TEXTS, signature=TEXTS)},
    ),
    st.fixed_dictionaries({"type": st.just("content_block_stop"), "index": NUMBERS}),
    some(type=st.just("message_delta"), delta=some(stop_reason=STOPS, stop_sequence=TEXTS), usage=USAGE),
    st.just({"type": "message_stop"}),
    some(type=st.sampled_from(["ping", "odd"])),
)
CALL = some(index=NUMBERS, id=TEXTS, function=some(name=TEXTS, arguments=TEXTS))
CHUNKS = st.one_of(
    some(
        id=TEXTS, model=TEXTS, created=NUMBERS, usage=USAGE,
        choices=st.lists(
            some(
                index=NUMBERS, finish_reason=STOPS,
                delta=some(content=TEXTS, reasoning_content=TEXTS, refusal=TEXTS, tool_calls=st.lists(CALL, max_size=3)),
                text=TEXTS,
            ),
            max_size=2,
        ),
    ),
    st.just("[DONE]"),
)  # fmt: skip
ITEM = some(
    type=WORDS, id=TEXTS, call_id=TEXTS, name=TEXTS, arguments=TEXTS, encrypted_content=TEXTS,
    content=st.lists(some(type=st.sampled_from(["output_text", "refusal"]), text=TEXTS, refusal=TEXTS), max_size=2),
)  # fmt: skip
RESPONSES = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            [
                "response.created", "response.output_item.added", "response.output_item.done", "response.completed",
                "response.incomplete", "response.output_text.delta", "response.refusal.delta",
                "response.function_call_arguments.delta", "response.reasoning_summary_text.delta",
                "response.reasoning_summary_part.added", "odd",
            ]
        )
    },
    optional={
        "response": NAMED, "delta": TEXTS, "item": ITEM, "item_id": TEXTS, "output_index": NUMBERS,
        "content_index": NUMBERS, "summary_index": NUMBERS,
    },
)  # fmt: skip
PROVIDERS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "messages": (anthropic_messages, MESSAGES),
    "chat": (openai_chat, CHUNKS),
    "responses": (openai_responses, RESPONSES),
}
PAIRS = [(client, provider) for client in CLIENTS for provider in PROVIDERS if client != provider]


def written(client: Dialect, provider: Dialect, fields: dict[str, Any], story: list[Any]) -> bytes:
    """Return the bytes that the client receives for the events."""
    request = client.decode_request(json.dumps({"model": "m", "stream": True, **fields}).encode())
    codec = bridge(client, provider).read_stream(Meter(), request, 5.0)
    out = b""
    for reported in story:
        data = reported if isinstance(reported, str) else json.dumps(reported, ensure_ascii=False)
        event = b"data: %b\n\n" % data.encode()
        with suppress(UpstreamError):  # so it is judged before the first content; what follows must stand it as well
            codec.kind(event)
        out += codec.forward(event)
        if codec.has_failed:
            return out
    return out + (codec.closing() or b"")


@pytest.mark.parametrize(("client", "provider"), PAIRS, ids=[f"{one}-of-{other}" for one, other in PAIRS])
@settings(max_examples=100)
@given(data=st.data())
def test_any_events_are_translated_or_end_in_an_error(client: str, provider: str, data: st.DataObject) -> None:
    dialect, reported = PROVIDERS[provider]
    story = data.draw(st.lists(reported, max_size=8))
    speaks, fields = CLIENTS[client]
    out = written(speaks, dialect, fields, story)
    for event in events(out):
        assert event.startswith((b"data: ", b"event: ")), event
        document = data_of(event)
        assert document is not None
        assert document == b"[DONE]" or isinstance(json.loads(document), dict)
    assert sum(line == ENDS[client] for line in out.split(b"\n")) <= 1

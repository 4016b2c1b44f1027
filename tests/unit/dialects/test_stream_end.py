"""What ends a stream: one definition for every pair of dialects. Each case runs in the same dialect and in translations."""

import json
from typing import Any

import pytest

from gateway.core.chat import ChatRequest
from gateway.core.errors import GatewayError, HiddenError, ProtocolError, StreamFailed, UpstreamError
from gateway.core.exchange import Meter
from gateway.dialects import anthropic_messages, openai_chat, openai_completions, openai_responses
from gateway.dialects.bridge import bridge
from gateway.streaming.relay import EventStream
from tests.support.recorded import relayed
from tests.support.streams import DONE, FINISH, ROLE, USAGE, FakeReply, FakeSource, chunk, text

CLIENTS: dict[str, tuple[Any, dict[str, Any], bytes]] = {
    "chat": (openai_chat, {"messages": [{"role": "user", "content": "x"}]}, b"data: [DONE]\n\n"),
    "messages": (
        anthropic_messages,
        {"messages": [{"role": "user", "content": "x"}], "max_tokens": 9},
        b'data: {"type":"message_stop"}\n\n',
    ),
    "responses": (openai_responses, {"input": "x"}, b"event: response.completed"),
    "completions": (openai_completions, {"prompt": "x"}, b"data: [DONE]\n\n"),
}
LIMITED = b"event: response.incomplete"


def request_of(client: str) -> ChatRequest:
    dialect, fields, _ = CLIENTS[client]
    request: ChatRequest = dialect.decode_request(json.dumps({"model": "m", "stream": True, **fields}).encode())
    return request


async def outcome(client: str, *parts: bytes, provider: Any = openai_chat) -> tuple[bytes, GatewayError | None]:
    """Return what the client got, and the error. Nothing sent: the error came before the commit point."""
    source, meter = FakeSource(), Meter()
    codec = bridge(CLIENTS[client][0], provider).read_stream(meter, request_of(client), 7.0)
    stream = source.sink = EventStream(source, codec, 2**20)
    found = await relayed(source, stream, meter, list(parts))
    return found.sent, found.failure


def words(client: str, sent: bytes) -> str:
    found = ""
    for line in sent.split(b"\n"):
        if not line.startswith(b"data: {"):
            continue
        event = json.loads(line[6:])
        for choice in event.get("choices", ()):
            found += choice.get("text") or (choice.get("delta") or {}).get("content") or ""
        if event.get("type") == "content_block_delta":
            found += event["delta"].get("text", "")
        elif event.get("type") == "response.output_text.delta":
            found += event["delta"]
    return found


every_client = pytest.mark.parametrize("client", ["chat", "messages", "responses"])


@every_client
@pytest.mark.parametrize(
    "parts",
    [
        (text("Hel"), text("lo"), FINISH, DONE),
        (text("Hel"), text("lo"), FINISH),
        (text("Hel"), text("lo"), FINISH, USAGE, DONE),
        (text("Hel") + text("lo") + FINISH + USAGE + DONE,),
        (chunk({"content": "Hel"}, ""), chunk({"content": "lo"}, ""), FINISH, DONE),
        (chunk({"content": "Hel"}, "stop"), chunk({"content": "lo"}, "stop"), USAGE, DONE),
        (text("Hel"), FINISH, text("lo"), USAGE, DONE),
        (chunk({"reasoning_content": "hm"}, "stop"), text("Hel"), text("lo"), FINISH, DONE),
        (chunk({"content": "Hel"}, "null"), chunk({"content": "lo"}, "None"), chunk(finish="STOP"), DONE),
        (text("Hello"), FINISH.replace(b'"finish_reason":', b'"finish_reason" : '), DONE),
        (text("Hello"), FINISH, DONE.replace(b"]", b"] ")),
        (text("Hello"), chunk(finish="eos_token"), DONE),
    ],
)
async def test_a_good_end_has_every_word(client: str, parts: tuple[bytes, ...]) -> None:
    sent, error = await outcome(client, ROLE, *parts)
    assert error is None and words(client, sent) == "Hello"
    assert sent.count(CLIENTS[client][2].replace(b"]", b"")) or sent.count(b"[DONE]") == 1


@every_client
@pytest.mark.parametrize(
    "parts",
    [
        (chunk({"content": "Hel"}, ""), chunk({"content": "lo"}, "")),
        (chunk({"content": "Hel"}, "stop"), chunk({"content": "lo"}, "stop")),
        (text("Hel"), FINISH, text("lo")),
        (text("Hel"), FINISH, text("lo")[:-20]),
        (chunk({"content": "Hel"}, "stop"),),
        (text("Hel"), DONE),
        (chunk({"content": "Hel"}, ""), DONE),
        *[
            (text("Hel"), chunk(finish=reason), DONE)
            for reason in (
                "error",
                "abort",
                "insufficient_system_resource",
                "network_error",
                "MALFORMED_FUNCTION_CALL",
                "unfinished",
                "ERROR_LIMIT",
                "user_cancel",
            )
        ],
        (text("Hel"), chunk({"content": "lo"}, "error")),
    ],
)
async def test_what_was_cut_never_looks_whole(client: str, parts: tuple[bytes, ...]) -> None:
    sent, error = await outcome(client, ROLE, *parts)
    assert isinstance(error, UpstreamError)
    assert CLIENTS[client][2] not in sent and LIMITED not in sent


@every_client
@pytest.mark.parametrize("parts", [(DONE,), (ROLE, DONE), (chunk({"role": "assistant", "content": ""}, ""), DONE), ()])
async def test_an_end_before_the_content_is_a_cut(client: str, parts: tuple[bytes, ...]) -> None:
    sent, error = await outcome(client, *parts)
    assert sent == b"" and isinstance(error, ProtocolError) and error.is_retryable


@pytest.mark.parametrize(
    ("reason", "chat", "messages", "responses"),
    [
        ("length", "length", "max_tokens", "max_output_tokens"),
        ("max_tokens", "max_tokens", "max_tokens", "max_output_tokens"),
        ("model_length", "model_length", "model_context_window_exceeded", "max_output_tokens"),
        ("sensitive", "sensitive", "refusal", "content_filter"),
        ("SAFETY", "SAFETY", "refusal", "content_filter"),
        ("prohibited_content", "prohibited_content", "refusal", "content_filter"),
    ],
)
async def test_lengths_and_filters_keep_their_meaning(reason: str, chat: str, messages: str, responses: str) -> None:
    parts = (ROLE, text("a"), chunk(finish=reason), DONE)
    for client, name in (("chat", chat), ("messages", messages), ("responses", responses)):
        sent, error = await outcome(client, *parts)
        assert error is None and f'"{name}"'.encode() in sent


ERRORS = [
    b'data: {"error":{"message":"GPU out of memory","code":500}}\n\n',
    b'data: {"error":"GPU out of memory"}\n\n',
    b'data: {"object":"error","message":"GPU out of memory","code":500}\n\n',
    b'event: error\ndata: {"code":500,"details":"GPU out of memory"}\n\n',
    b"event: error\ndata: GPU out of memory\n\n",
    b'data: {"type":"error","error":{"type":"api_error","message":"GPU out of memory"}}\n\n',
    b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"error"}],"error":{"message":"GPU out of memory"}}\n\n',
    b'data: {"error":true,"message":"GPU out of memory"}\n\n',
]


@every_client
@pytest.mark.parametrize("error_event", ERRORS)
async def test_an_error_in_any_shape_is_one(client: str, error_event: bytes) -> None:
    sent, error = await outcome(client, ROLE, error_event)
    assert sent == b"" and isinstance(error, HiddenError) and error.is_retryable and error.hurts_breaker
    assert "GPU out of memory" in error.message
    sent, error = await outcome(client, ROLE, text("a"), error_event, FINISH, DONE)
    assert isinstance(error, StreamFailed) and error.hurts_breaker and words(client, sent) == "a"
    assert b"GPU out of memory" in sent and CLIENTS[client][2] not in sent
    last = json.loads(sent.rstrip().rpartition(b"data: ")[2])
    assert last.get("error") or last["response"]["error"]


@every_client
@pytest.mark.parametrize("odd", [b'data: {"detail":"it broke"}\n\n', b'data: [{"error":{"message":"it broke"}}]\n\n'])
async def test_errors_of_relays_are_read_before_the_content(client: str, odd: bytes) -> None:
    sent, error = await outcome(client, ROLE, odd)
    assert sent == b"" and isinstance(error, HiddenError) and error.words == "it broke"


@every_client
@pytest.mark.parametrize("empty", [None, "", {}, False, []])
async def test_an_empty_error_is_none(client: str, empty: Any) -> None:
    if client == "chat":
        sent, error = await outcome(client, ROLE, text("a", error=empty), FINISH, DONE)
        assert error is None and words(client, sent) == "a"


@pytest.mark.parametrize("client", ["messages", "responses"])
@pytest.mark.parametrize(
    "first",
    [
        chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"arguments": "{}"}}]}),
        chunk({"content": 7}),
        text("a", service_tier=1),
        text("a", created="2024-01-01"),
        text("a", model=["m"]),
        chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"name": ["f"]}}]}),
        chunk({"reasoning": {"text": "x"}}),
    ],
)
async def test_what_the_decoder_refuses_is_found_before_the_commit_point(client: str, first: bytes) -> None:
    for parts in ((ROLE, first), (ROLE + first,), (first,)):
        sent, error = await outcome(client, *parts)
        assert sent == b"" and isinstance(error, ProtocolError) and error.is_retryable


async def test_messages_need_a_known_reason_and_their_last_event() -> None:
    def event(kind: str, **more: Any) -> bytes:
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **more}).encode())

    start = event("message_start", message={"id": "m", "model": "m", "usage": {"input_tokens": 1}})
    delta = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "a"})
    stop = event("message_stop")

    def end(reason: str | None) -> bytes:
        return event("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": 1})

    for client in ("messages", "chat", "responses"):
        for tail in ((stop,), (end(None), stop), (end(""), stop), (end("error"), stop), (end("end_turn"),)):
            sent, error = await outcome(client, start, delta, *tail, provider=anthropic_messages)
            assert isinstance(error, UpstreamError) and CLIENTS[client][2] not in sent
        sent, error = await outcome(client, start, delta, end("end_turn"), stop, provider=anthropic_messages)
        assert error is None and words(client, sent) == "a"
        for early in ((stop,), (start, stop), (start, end("error"))):
            sent, error = await outcome(client, *early, provider=anthropic_messages)
            assert sent == b"" and isinstance(error, UpstreamError) and error.is_retryable


@pytest.mark.parametrize("client", ["responses", "chat", "messages"])
@pytest.mark.parametrize(
    ("kind", "response"),
    [
        ("response.completed", {"status": "failed", "output": []}),
        ("response.completed", {"status": "cancelled", "output": []}),
        ("response.incomplete", {"status": "incomplete", "incomplete_details": {"reason": "crashed"}, "output": []}),
    ],
)
async def test_responses_that_are_none(client: str, kind: str, response: dict[str, Any]) -> None:
    created = b'event: response.created\ndata: {"type":"response.created","response":{"id":"r","output":[]}}\n\n'
    delta = (
        b'data: {"type":"response.output_text.delta","item_id":"i","output_index":0,"content_index":0,"delta":"a"}\n\n'
    )
    end = b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, "response": response}).encode())
    sent, error = await outcome(client, created, delta, end, provider=openai_responses)
    assert isinstance(error, UpstreamError) and CLIENTS[client][2] not in sent and LIMITED not in sent


async def test_completions_follow_the_same_rule() -> None:
    def piece(content: str, finish: str | None = None) -> bytes:
        choice = {"index": 0, "text": content, "finish_reason": finish}
        return b"data: %b\n\n" % json.dumps({"id": "c", "choices": [choice]}).encode()

    for client in ("completions", "chat", "messages", "responses"):
        end = CLIENTS[client][2]
        sent, error = await outcome(
            client, piece("Hel", "stop"), piece("lo", "stop"), DONE, provider=openai_completions
        )
        assert error is None and words(client, sent) == "Hello" and end in sent
        for tail in ((), (DONE,), (piece("", "error"), DONE), (piece("lo", ""),)):
            sent, error = await outcome(client, piece("Hel", ""), *tail, provider=openai_completions)
            assert isinstance(error, UpstreamError) and end not in sent


async def test_every_choice_that_spoke_has_to_end() -> None:
    codec = openai_chat.read_stream(Meter(), hides_usage=True, choices=2)
    codec.forward(text("a") + text("b"))
    one = b'data: {"choices":[{"index":1,"delta":{"content":"x"},"finish_reason":null}]}\n\n'
    assert DONE not in codec.forward(one + FINISH + DONE) and codec.closing() is None
    codec = openai_chat.read_stream(Meter(), hides_usage=True, choices=2)  # of a server that ignores `n`
    assert codec.forward(text("a") + FINISH + DONE).endswith(DONE) and codec.closing() == b""


async def test_a_failed_response_follows_its_error_however_they_arrive() -> None:
    """Some agents read only `response.failed`."""
    created = b'event: response.created\ndata: {"type":"response.created","response":{"id":"r","output":[]}}\n\n'
    delta = b'data: {"type":"response.output_text.delta","item_id":"i","output_index":0,"delta":"a"}\n\n'
    broke = b'event: error\ndata: {"type":"error","code":"server_error","message":"it broke","param":null}\n\n'
    failed = b'event: response.failed\ndata: {"type":"response.failed","response":{"id":"r","status":"failed"}}\n\n'
    done = b'data: {"type":"response.completed","response":{"status":"completed","output":[]}}\n\n'
    for parts in ((broke, failed), (broke + failed,), (broke,), (broke, done), (broke + done,), (failed,)):
        sent, error = await outcome("responses", created, delta, *parts, provider=openai_responses)
        assert isinstance(error, StreamFailed) and sent == created + delta + b"".join(parts).replace(done, b"")
        sent, error = await outcome("chat", created, delta, *parts, provider=openai_responses)
        assert isinstance(error, StreamFailed) and DONE not in sent and sent.count(b'"error"') == 1


@every_client
async def test_an_error_in_one_piece_with_the_end_is_no_success(client: str) -> None:
    error_event = b'data: {"error":{"message":"it broke"}}\n\n'
    source, reply = FakeSource(), FakeReply()
    codec = bridge(CLIENTS[client][0], openai_chat).read_stream(Meter(), request_of(client), 7.0)
    stream = source.sink = EventStream(source, codec, 2**20)
    source.send(ROLE + text("a"))
    source.send(error_event)
    source.end()
    await stream.until_content()
    with pytest.raises(StreamFailed):
        await stream.pump(reply, None)
    assert b"it broke" in reply.sent


async def test_errors_are_redacted_where_they_are_held_back() -> None:
    created = b'event: response.created\ndata: {"type":"response.created","response":{"id":"r","output":[]}}\n\n'
    delta = b'data: {"type":"response.output_text.delta","item_id":"i","output_index":0,"delta":"a"}\n\n'
    broke = b'event: error\ndata: {"type":"error","message":"the key sk-secret"}\n\n'
    source, reply = FakeSource(), FakeReply()
    codec = bridge(openai_responses, openai_responses).read_stream(Meter(), request_of("responses"), 7.0)
    stream = source.sink = EventStream(source, codec, 2**20, lambda data: data.replace(b"sk-secret", b"***"))
    source.send(created + delta)
    source.send(broke)
    source.end()
    with pytest.raises(StreamFailed):
        await stream.pump(reply, None)
    assert b"the key ***" in reply.sent and b"secret" not in reply.sent


async def test_blocks_and_items_are_closed_where_words_follow_a_reason() -> None:
    parts = (ROLE, text("Hello"), FINISH, text(" world"), USAGE, DONE)
    sent, error = await outcome("messages", *parts)
    assert error is None and sent.count(b"event: content_block_start") == sent.count(b"event: content_block_stop") == 1
    assert sent.rindex(b"content_block_stop") < sent.index(b"message_delta")
    sent, error = await outcome("responses", *parts)
    assert error is None and sent.rindex(b".delta") < sent.index(b"response.output_item.done")
    response = json.loads(sent.rstrip().rpartition(b"data: ")[2])["response"]
    assert response["output"][0]["content"][0]["text"] == "Hello world"


async def test_a_tool_call_keeps_its_input_behind_empty_reasons() -> None:
    start = {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]}
    more = {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":1}'}}]}
    for reason in ("", "stop", "tool_calls"):
        sent, error = await outcome("messages", ROLE, chunk(start, reason), chunk(more, reason), FINISH, DONE)
        assert error is None and b'"partial_json":"{\\"a\\":1}"' in sent and b'"stop_reason":"tool_use"' in sent

"""A client's body in, its answer out: framing, limits, headers."""

import asyncio
import json

import pytest

from gateway.api.client_side import ClientSide
from gateway.streaming.relay import EventStream
from tests.support.clock import FakeClock
from tests.support.http import CHAT, chat_body
from tests.support.replay import (
    DONE,
    JSON,
    ROLE,
    SSE,
    STREAM,
    ScriptedResponse,
    chunk,
    completion,
    full_response,
    stream,
    until,
)
from tests.support.serving import KEY, OPEN_CONFIG, TENANT_CONFIG, WITH_KEY, ServeText, Serving
from tests.support.sse import is_complete, text_of

HEAD = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n".encode()
BODY = json.dumps(chat_body("auto")).encode()
USAGE = {"prompt_tokens": 10, "completion_tokens": 5}

# Answers


async def test_an_unstreamed_answer_comes_byte_for_byte_with_its_way_and_cost(
    serving: Serving, clock: FakeClock
) -> None:
    body = completion(usage=USAGE).replace(b'"id"', b'  "id"')
    serving.line.play(
        a=full_response(body, x_secret="s", set_cookie="a=b", openai_processing_ms="12", server="provider")
    )
    async with serving.connect() as client:
        client.chat()
        answer = await client.read_answer()
    assert (answer.status, answer.body) == (200, body)
    expected = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "server": "llm-gateway",
        "date": "Tue, 14 Nov 2023 22:13:20 GMT",
        "openai-processing-ms": "12",
        "x-gateway-route": "all",
        "x-gateway-pool": "main",
        "x-gateway-model": "m-a",
        "x-gateway-attempts": "1",
        "x-gateway-cache": "bypass; reason=off",
        "x-gateway-cost": "0.00002",
        "x-gateway-config": "1",
        "x-gateway-overhead-ms": "0.00",
    }
    got = dict(answer.head.headers)
    assert got.pop("x-request-id").startswith("req-")
    assert got == expected


async def test_what_the_provider_tells_of_its_limits_is_told_on(serving: Serving) -> None:
    limits = {"x_ratelimit_remaining_requests": "4999", "x_ratelimit_reset_tokens": "6m0s"}
    serving.line.play(a=full_response(completion(), **limits))
    async with serving.connect() as client:
        client.chat()
        answer = await client.read_answer()
    assert answer.header("x-ratelimit-remaining-requests") == "4999"
    assert answer.header("x-ratelimit-reset-tokens") == "6m0s"


async def test_the_headers_say_who_answered_in_the_end(serving: Serving) -> None:
    serving.line.play(a=full_response(b"{}", 500), b=full_response(completion()))
    async with serving.connect() as client:
        client.chat()
        answer = await client.read_answer()
    assert (answer.header("x-gateway-model"), answer.header("x-gateway-attempts")) == ("m-b", "2")


async def test_a_stream_comes_event_for_event(serving: Serving) -> None:
    serving.line.play(a=stream())
    async with serving.connect() as client:
        client.chat(stream=True)
        answer = await client.read_answer()
        assert answer.body == b"".join(STREAM)
        assert answer.header("content-type") == "text/event-stream"
        assert answer.header("cache-control") == "no-cache"
        assert answer.header("x-accel-buffering") == "no"
        assert answer.header("content-length") is None
        assert answer.header("x-gateway-cost") is None
        client.request("GET", "/health")  # nothing is left behind it
        assert (await client.read_answer()).status == 200


async def test_errors_before_the_first_content_are_statuses(serving: Serving) -> None:
    serving.line.play(a=stream(ROLE, cut=True), b=full_response(b"{}", 503, retry_after="7"))
    async with serving.connect() as client:
        client.chat(stream=True)
        answer = await client.read_answer()
        assert (answer.status, answer.error()["code"]) == (503, "upstream_unavailable")
        assert answer.header("retry-after") == "7"
        assert answer.header("x-gateway-attempts") == "2"
        assert answer.header("connection") is None
        client.request("GET", "/health")
        assert (await client.read_answer()).status == 200


async def test_a_stream_that_breaks_off_ends_with_an_error_and_no_done(serving: Serving) -> None:
    serving.line.play(a=stream(ROLE, chunk("one "), cut=True))
    async with serving.connect() as client:
        client.chat(stream=True)
        answer = await client.read_answer()
    assert answer.status == 200
    assert not is_complete(answer.body)
    assert text_of(answer.body.rpartition(b'data: {"error"')[0]) == "one "
    assert answer.body.count(b'data: {"error"') == 1


async def test_an_error_event_of_the_provider_is_not_told_twice(serving: Serving) -> None:
    event = b'data: {"error": {"message": "overloaded"}}\n\n'
    serving.line.play(a=stream(ROLE, chunk("one "), event))
    async with serving.connect() as client:
        client.chat(stream=True)
        answer = await client.read_answer()
    assert answer.body == ROLE + chunk("one ") + event


async def test_a_last_event_without_its_end_that_is_hidden_does_not_end_the_body_twice(serving: Serving) -> None:
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
    serving.line.play(a=stream(chunk("one "), chunk(finish="stop"), usage))
    async with serving.connect() as client:
        client.chat(stream=True)
        assert is_complete((await client.read_answer()).body)
        client.request("GET", "/health")
        assert (await client.read_answer()).status == 200


async def test_nothing_to_send_is_no_end_of_the_body(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk of no bytes is what ends a chunked body."""
    close = EventStream._finish

    def write_nothing_and_close(self: EventStream) -> None:
        assert self._writer is not None
        self._writer.write(b"")
        close(self)

    monkeypatch.setattr(EventStream, "_finish", write_nothing_and_close)
    serving.line.play(a=stream())
    async with serving.connect() as client:
        client.chat(stream=True)
        await client.read_answer()
        client.request("GET", "/health")
        assert (await client.read_answer()).status == 200


async def test_a_rejection_of_the_provider_keeps_status_and_body(serving: Serving) -> None:
    body = b'{"error": {"message": "too long", "type": "x", "param": null, "code": "context_length_exceeded"}}'
    serving.line.play(a=full_response(body, 400))
    async with serving.connect() as client:
        client.chat()
        answer = await client.read_answer()
    assert (answer.status, answer.body) == (400, body)


@pytest.mark.parametrize("name", ["mock-\r\nx-evil: 1", "mock-\u20ac", "mock-\x00\x1b[31m", "mock-%0d%0a", "mock-a b"])
async def test_a_name_that_a_client_chose_is_no_header_of_its_own(serving: Serving, name: str) -> None:
    serving.line.play(a=full_response(completion()))
    async with serving.connect() as client:
        client.chat(name)
        answer = await client.read_answer()
        assert answer.status == 200
        assert "x-evil" not in answer.head.names
        assert (answer.header("x-gateway-model") or "").isprintable()
        client.request("GET", "/health")
        assert (await client.read_answer()).status == 200
    assert json.loads(serving.line.transport.calls[0].body)["model"] == name


async def test_a_header_of_a_provider_is_no_header_of_ours(serving: Serving) -> None:
    odd = {**JSON, b"content-type": "application/json; x=\u20ac".encode()}
    serving.line.play(a=ScriptedResponse((completion(),), headers=odd))
    async with serving.connect() as client:
        client.chat()
        assert (await client.read_answer()).status == 200


# Connections


async def test_a_client_that_wants_to_close_is_obeyed(serving: Serving) -> None:
    serving.line.play(a=full_response(completion()))
    async with serving.connect() as client:
        client.chat(headers={"connection": "close"})
        answer = await client.read_answer()
        assert (answer.status, answer.header("connection")) == (200, "close")
        assert await client.read_rest() == b""


@pytest.mark.parametrize("connection", ["", "connection: keep-alive\r\n"])
async def test_http_1_0_gets_a_stream_without_chunks_and_the_end(serving: Serving, connection: str) -> None:
    serving.line.play(a=stream())
    body = json.dumps(chat_body("auto", stream=True)).encode()
    async with serving.connect() as client:
        client.send(HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + connection.encode())
        client.send(b"content-length: %d\r\n\r\n%b" % (len(body), body))
        answer = await client.read_answer()
    assert (answer.header("transfer-encoding"), answer.header("connection")) == (None, "close")
    assert answer.body == b"".join(STREAM)


# Bodies


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b"", None, "invalid_json"),
        (b"{", None, "invalid_json"),
        (b'{"x": ' + b"[" * 100_000, None, "invalid_json"),
        (b"\xff", None, "invalid_json"),
        (b'{"messages": []}', "model", "missing_required_parameter"),
        (b'{"model": "auto"}', "messages", "missing_required_parameter"),
        (b'{"model": 1, "messages": []}', "model", "invalid_type"),
        (b'{"model": "auto", "messages": {}}', "messages", "invalid_type"),
    ],
)
async def test_a_body_at_fault_is_400_and_the_connection_lives(
    serving: Serving, body: bytes, param: str | None, code: str
) -> None:
    async with serving.connect() as client:
        client.request("POST", CHAT, body)
        answer = await client.read_answer()
        assert (answer.status, answer.error()["param"], answer.error()["code"]) == (400, param, code)
        client.request("GET", "/health")
        assert (await client.read_answer()).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": ""},
        {"content-type": "text/plain"},
        {"content-type": "application/jsonx"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-encoding": "gzip"},
    ],
)
async def test_a_body_that_is_not_plain_json_is_415(serving: Serving, headers: dict[str, str]) -> None:
    async with serving.connect() as client:
        client.chat(headers=headers)
        answer = await client.read_answer()
        assert (answer.status, answer.error()["code"]) == (415, "unsupported_media_type")
        client.request("GET", "/health")
        assert (await client.read_answer()).status == 200


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON ; charset=utf-8"])
async def test_json_is_json_with_parameters_too(serving: Serving, content_type: str) -> None:
    serving.line.play(a=full_response(completion()))
    async with serving.connect() as client:
        client.chat(headers={"content-type": content_type})
        assert (await client.read_answer()).status == 200


SMALL = OPEN_CONFIG + "server: {limits: {body: 1KiB, body_timeout: 30ms}}\n"


async def test_a_length_over_the_limit_is_413_before_a_byte_is_read(serve_text: ServeText) -> None:
    serving = await serve_text(SMALL)
    async with serving.connect() as client:
        client.send(HEAD + b"content-length: 1000000000\r\n\r\n")
        answer = await client.read_answer()
        assert (answer.status, answer.error()["code"]) == (413, "request_too_large")
        assert answer.header("connection") == "close"


@pytest.mark.parametrize("is_whole", [False, True])
async def test_chunks_over_the_limit_are_413(serve_text: ServeText, is_whole: bool) -> None:
    serving = await serve_text(SMALL)
    async with serving.connect() as client:
        client.send(HEAD + b"transfer-encoding: chunked\r\n\r\n" + b"800\r\n%b\r\n" % (b" " * 2048))
        client.send(b"0\r\n\r\n" * is_whole)
        answer = await client.read_answer()
        assert (answer.status, answer.error()["code"]) == (413, "request_too_large")


async def test_a_slow_body_is_408_and_the_end(serve_text: ServeText) -> None:
    serving = await serve_text(SMALL)
    async with serving.connect() as client:
        client.send(HEAD + b"content-length: 100\r\n\r\n{")
        answer = await client.read_answer()
        assert (answer.status, answer.error()["code"]) == (408, "request_timeout")
        assert answer.header("connection") == "close"


@pytest.mark.parametrize("framing", [b"content-length: %d\r\n\r\n" % len(BODY), b"transfer-encoding: chunked\r\n\r\n"])
async def test_a_body_in_pieces_is_put_together(serving: Serving, framing: bytes) -> None:
    serving.line.play(a=full_response(completion()))
    is_chunked = b"chunked" in framing
    async with serving.connect() as client:
        client.send(HEAD + framing)
        for index in range(0, len(BODY), 10):
            await until(lambda: len(serving.line.services.running) == 1)
            piece = BODY[index : index + 10]
            client.send(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
            await asyncio.sleep(0)
        client.send(b"0\r\n\r\n" * is_chunked)
        assert (await client.read_answer()).status == 200
    assert json.loads(serving.line.transport.calls[0].body)["messages"] == chat_body("auto")["messages"]


async def test_the_time_that_a_client_takes_to_send_is_not_ours(serving: Serving, clock: FakeClock) -> None:
    serving.line.play(a=full_response(completion()))
    async with serving.connect() as client:
        client.send(HEAD + b"content-length: %d\r\n\r\n" % len(BODY))
        await until(lambda: len(serving.line.services.running) == 1)
        await until(lambda: BODY_READER in stack_of(*serving.line.services.running.values()))
        clock.advance(7)
        client.send(BODY)
        assert (await client.read_answer()).header("x-gateway-overhead-ms") == "0.00"
    (x,) = serving.line.reporter.filed
    assert x.timeline.waited_s == pytest.approx(7)


BODY_READER = ClientSide._read_body.__name__


def stack_of(task: asyncio.Task[object]) -> list[str]:
    """Name the coroutines that a task waits in, the outermost first."""
    names, waiting = [], task.get_coro()
    while waiting is not None and hasattr(waiting, "cr_code"):
        names.append(waiting.cr_code.co_name)
        waiting = waiting.cr_await
    return names


# Expect: 100-continue

EXPECT = HEAD + b"expect: 100-continue\r\ncontent-length: %d\r\n" % len(BODY)


async def test_a_body_is_invited_from_whom_we_know(serve_text: ServeText) -> None:
    serving = await serve_text(TENANT_CONFIG)
    serving.line.play(a=full_response(completion()))
    async with serving.connect() as client:
        client.send(EXPECT + f"authorization: Bearer {KEY}\r\n\r\n".encode())
        assert (await client.read_head()).status == 100
        client.send(BODY)
        assert (await client.read_answer()).status == 200


@pytest.mark.parametrize(
    ("more", "status"),
    [
        (b"\r\n", 401),
        (f"authorization: Bearer {KEY}x\r\n\r\n".encode(), 401),
        (f"authorization: Bearer {KEY}\r\ncontent-encoding: gzip\r\n\r\n".encode(), 415),
    ],
)
async def test_a_body_is_not_invited_where_the_answer_is_no(serve_text: ServeText, more: bytes, status: int) -> None:
    """And as it may come all the same, or not, no next request can be found on the connection."""
    serving = await serve_text(TENANT_CONFIG)
    async with serving.connect() as client:
        client.send(EXPECT + more)
        head = await client.read_head()
        assert (head.status, head.get("connection")) == (status, "close")


async def test_a_body_that_came_is_not_invited(serving: Serving) -> None:
    serving.line.play(a=full_response(completion()))
    async with serving.connect() as client:
        client.send(EXPECT + b"\r\n" + BODY)
        assert (await client.read_head()).status == 200


async def test_http_1_0_knows_no_expectations(serving: Serving) -> None:
    serving.line.play(a=full_response(completion()))
    for head in (EXPECT, EXPECT.replace(b"100-continue", b"200-ok")):
        async with serving.connect() as client:
            client.send(head.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n")
            await until(lambda: len(serving.line.services.running) == 1)
            client.send(BODY)
            assert (await client.read_head()).status == 200
        await until(lambda: not serving.line.services.running)


# Signs of life before the first content

EARLY = OPEN_CONFIG.replace("defaults: {", "defaults: {keepalive: {every: 5ms, early: true}, ")


async def test_signs_of_life_commit_and_then_errors_come_in_the_stream(serve_text: ServeText) -> None:
    serving = await serve_text(EARLY)
    serving.line.play(a=stream(ROLE, is_open=True), b=stream())
    async with serving.connect() as client:
        client.chat(stream=True)
        assert (await client.read_head()).status == 200
        assert await client.read_chunk() == b": keep-alive\n\n"
        await until(lambda: len(serving.line.transport.answers) == 1)
        serving.line.transport.answers[0].end(None)
        while (piece := await client.read_chunk()) == b": keep-alive\n\n":
            continue
        assert piece.startswith(b'data: {"error"')
        assert await client.read_chunk() == b""
    assert serving.line.transport.hosts == ["a.test"]


async def test_signs_of_life_go_over_into_the_stream(serve_text: ServeText) -> None:
    serving = await serve_text(EARLY)
    serving.line.play(a=ScriptedResponse((), headers=SSE, is_open=True))
    async with serving.connect() as client:
        client.chat(stream=True)
        head = await client.read_head()
        assert head.get("x-gateway-route") == "all"
        await client.read_chunk()
        answer = serving.line.transport.answers[0]
        answer.receive(b"".join(STREAM))
        answer.end(None)
        rest = b""
        while piece := await client.read_chunk():
            rest += piece
        assert rest.replace(b": keep-alive\n\n", b"") == b"".join(STREAM)
        assert rest.endswith(DONE)


async def test_an_answer_before_the_first_sign_needs_none(serve_text: ServeText) -> None:
    serving = await serve_text(EARLY.replace("every: 5ms", "every: 1h"))
    serving.line.play(a=full_response(b"{}", 500), b=full_response(b"{}", 500))
    async with serving.connect() as client:
        client.chat(stream=True)
        assert (await client.read_answer()).status == 500
    assert signs_to_come() == 0


async def test_no_sign_of_life_follows_an_answer(serve_text: ServeText, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even while a client that reads slowly has not taken all of it."""
    seen = []

    async def drained(self: ClientSide) -> None:
        seen.append(signs_to_come())

    monkeypatch.setattr(ClientSide, "drained", drained)
    serving = await serve_text(EARLY.replace("every: 5ms", "every: 1h"))
    serving.line.play(a=[full_response(b"{}", 400), stream()])
    async with serving.connect() as client:
        for status in (400, 200):
            client.chat(stream=True)
            assert (await client.read_answer()).status == status
    assert seen == [0, 0]


async def test_nobody_sends_signs_of_life_to_a_client_that_has_left(serve_text: ServeText) -> None:
    serving = await serve_text(EARLY)
    serving.line.play(a=stream(ROLE, is_open=True))
    async with serving.connect() as client:
        client.chat(stream=True)
        await client.read_head()
        assert signs_to_come() == 1
    await until(lambda: not serving.line.services.running)
    assert signs_to_come() == 0


def signs_to_come() -> int:
    """Count the timers that would write to a client."""
    timers = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    callbacks = [timer._callback for timer in timers if not timer.cancelled()]
    return sum(getattr(one, "__func__", None) is ClientSide._send_keepalive for one in callbacks)


async def test_a_key_is_looked_for_in_the_headers_of_the_sdks(serve_text: ServeText) -> None:
    serving = await serve_text(TENANT_CONFIG)
    serving.line.play(a=full_response(completion()))
    async with serving.connect() as client:
        for headers in (WITH_KEY, {"x-api-key": KEY}):
            client.chat(headers=headers)
            assert (await client.read_answer()).status == 200
    assert all(KEY.encode() not in call.head for call in serving.line.transport.calls)

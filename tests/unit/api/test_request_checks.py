"""What a hostile client may send: one answer for each, nothing of it at a provider, and the listener lives."""

import json
import logging

import pytest
from aiohttp import http_parser

from gateway.api.connection import ClientServer
from tests.support.bad_requests import (
    ACCEPTED,
    BODY,
    CHAT,
    CHUNK,
    HEAD,
    LAST,
    LENGTH,
    NOT_SERVED,
    REJECTED,
    chunked,
    post,
    with_target,
)
from tests.support.replay import completion, full_response, until
from tests.support.serving import OPEN_CONFIG, TENANT_CONFIG, ServeText, Serving

HEALTH = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.mark.parametrize(("data", "status"), REJECTED.values(), ids=REJECTED)
async def test_what_is_refused_gets_one_answer_and_the_end(
    serving: Serving, caplog: pytest.LogCaptureFixture, data: bytes, status: int
) -> None:
    async with serving.connect() as client:
        client.send(data)
        answer = await client.read_answer()
        assert answer.status == status
        assert answer.error()["type"] in ("invalid_request_error", "server_error")
        assert (answer.header("x-request-id") or "").startswith("req-")
        assert (answer.header("connection"), answer.header("server")) == ("close", "llm-gateway")
        client.send(HEALTH)  # whatever follows is no request
        assert await client.read_rest() == b""
    await serves_on(serving)
    assert caplog.records == []


@pytest.mark.parametrize(("data", "status"), REJECTED.values(), ids=REJECTED)
async def test_it_is_refused_in_pieces_and_behind_a_right_request_too(
    serving: Serving, data: bytes, status: int
) -> None:
    async with serving.connect() as client:
        client.send(HEALTH)
        assert (await client.read_answer()).status == 200
        size = max(7, len(data) // 8)
        for start in range(0, len(data), size):
            client.send(data[start : start + size])
            await client.sent()
        answer = await client.read_answer()
        assert answer.status == status or b" RTSP/" in data
        assert answer.error()["code"]
        assert await client.read_rest() == b""
    await serves_on(serving)


@pytest.mark.parametrize(("data", "status"), NOT_SERVED.values(), ids=NOT_SERVED)
async def test_what_is_for_nothing_here_leaves_the_connection(serving: Serving, data: bytes, status: int) -> None:
    async with serving.connect() as client:
        client.send(data)
        answer = await client.read_answer()
        assert (answer.status, answer.header("connection")) == (status, None)
        assert answer.error()["code"]
        client.send(HEALTH)
        assert (await client.read_answer()).status == 200
    assert serving.line.transport.calls == []


@pytest.mark.parametrize("data", ACCEPTED.values(), ids=ACCEPTED)
async def test_what_is_odd_and_right_is_served(serving: Serving, data: bytes) -> None:
    serving.line.play(a=full_response(completion()))
    async with serving.connect() as client:
        for _ in range(2):
            client.send(data)
            answer = await client.read_answer()
            assert (answer.status, answer.header("connection")) == (200, None)
    first, second = serving.line.transport.calls
    assert first.body == second.body
    assert json.loads(first.body)["messages"] == [{"role": "user"}]
    assert b"Bearer x" not in first.head
    assert b"x-request-id: " in first.head and b"via: 1.1 llm-gateway\r\n" in first.head.lower()


async def test_the_absolute_form_is_taken_for_where_it_came_in(serving: Serving) -> None:
    serving.line.play(a=full_response(completion()))
    for name in (f"127.0.0.1:{serving.port}", f"LocalHost:{serving.port}"):
        async with serving.connect() as client:
            client.send(with_target(f"http://{name}".encode() + CHAT).replace(b"host: x", f"host: {name}".encode()))
            assert (await client.read_answer()).status == 200
            client.send(f"GET HTTP://{name}?x HTTP/1.1\r\nhost: {name}\r\n\r\n".encode())
            assert (await client.read_answer()).status == 404
    async with serving.connect() as client:  # it and Host must name the same
        client.send(f"GET http://localhost:{serving.port}/health HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        assert (await client.read_answer()).status == 421


async def test_a_refusal_has_the_id_of_its_request_and_no_body_for_head(serving: Serving) -> None:
    async with serving.connect() as client:
        client.send(b"HEAD /health HTTP/1.1\r\nhost: a b\r\nx-request-id: mine-1\r\n\r\n")
        answer = await client.read_answer(is_head=True)
        assert (answer.status, answer.header("x-request-id")) == (400, "mine-1")
        assert await client.read_rest() == b""


async def test_what_is_wrong_is_said_before_who_asks_is_looked_at(serve_text: ServeText) -> None:
    serving = await serve_text(TENANT_CONFIG)
    async with serving.connect() as client:
        client.send(post(b"upgrade: websocket\r\n"))
        assert (await client.read_answer()).status == 400


# Bodies that go wrong while they are read


@pytest.mark.parametrize("rest", [b"zz\r\n", b"5", b"0\r\nx a: b\r\n\r\n"])
async def test_a_chunk_that_is_bad_when_it_comes_is_400_at_once(serving: Serving, rest: bytes) -> None:
    async with serving.connect() as client:
        client.send(chunked(CHUNK))
        await until(lambda: len(serving.line.services.running) == 1)
        client.send(rest + b"\n\n\n\n" * (rest == b"5"))
        answer = await client.read_answer()
        assert (answer.status, answer.error()["code"], answer.header("connection")) == (400, "invalid_http", "close")
        assert await client.read_rest() == b""
    await serves_on(serving)


async def test_a_bad_chunk_of_a_body_that_was_refused_is_no_failure_of_ours(
    serve_text: ServeText, caplog: pytest.LogCaptureFixture
) -> None:
    serving = await serve_text(TENANT_CONFIG)
    async with serving.connect() as client:
        client.send(chunked(b""))
        assert (await client.read_answer()).status == 401
        client.send(b"zz\r\n")
        assert await client.read_rest() == b""
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_body_that_is_mostly_framing_is_cut(serving: Serving) -> None:
    async with serving.connect() as client:
        client.send(chunked(b""))
        await until(lambda: len(serving.line.services.running) == 1)
        client.send(b"1\r\n \r\n" * 200_000)
        answer = await client.read_answer()
        assert (answer.status, answer.error()["code"]) == (400, "invalid_http")


async def test_an_extension_without_end_is_cut(serving: Serving) -> None:
    async with serving.connect() as client:
        client.send(chunked(b"1;"))
        await until(lambda: len(serving.line.services.running) == 1)
        for _ in range(20):
            client.send(b"a" * 50_000)
        assert (await client.read_answer()).status == 400


async def test_a_large_body_in_decent_chunks_is_taken(serving: Serving) -> None:
    serving.line.play(a=full_response(completion()))
    body = BODY[:-1] + b',"x":"' + b"a" * 2_000_000 + b'"}'
    pieces = [body[start : start + 100] for start in range(0, len(body), 100)]
    async with serving.connect() as client:
        client.send(chunked(b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + LAST))
        assert (await client.read_answer()).status == 200


# Time for a head

QUICK = OPEN_CONFIG + "server: {limits: {head_timeout: 40ms}}\n"


async def test_a_head_that_begins_behind_an_answer_has_its_clock(serve_text: ServeText) -> None:
    serving = await serve_text(QUICK)
    async with serving.connect() as client:
        client.send(HEALTH)
        assert (await client.read_answer()).status == 200
        client.send(b"GET /hea")
        assert (await client.read_answer()).status == 408
        assert await client.read_rest() == b""


@pytest.mark.parametrize("first", [HEALTH, post(), post(body=b"x" * len(BODY)), chunked(CHUNK + LAST)])
async def test_a_head_that_begins_in_the_same_bytes_has_its_clock(serve_text: ServeText, first: bytes) -> None:
    serving = await serve_text(QUICK)
    serving.line.play(a=full_response(completion()))
    async with serving.connect() as client:
        client.send(first + b"GET /hea")
        assert (await client.read_answer()).status in (200, 400)
        assert (await client.read_answer()).status == 408
        assert await client.read_rest() == b""


async def test_a_head_that_begins_behind_a_body_in_pieces_has_its_clock(serve_text: ServeText) -> None:
    serving = await serve_text(QUICK)
    serving.line.play(a=full_response(completion()))
    for framing, body in ((LENGTH, BODY), (b"transfer-encoding: chunked\r\n", CHUNK + LAST)):
        async with serving.connect() as client:
            client.send(HEAD + framing + b"\r\n")
            await until(lambda: len(serving.line.services.running) == 1)
            client.send(body + b"GET /hea")
            assert (await client.read_answer()).status == 200
            assert (await client.read_answer()).status == 408


@pytest.mark.parametrize(
    "data", [HEALTH, post(), chunked(CHUNK + LAST), post() + b"\r\n", HEALTH * 3, HEALTH + b"\r\n"]
)
async def test_an_idle_connection_has_no_clock_of_a_head(serving: Serving, data: bytes) -> None:
    serving.line.play(a=full_response(completion()))
    async with serving.connect() as client:
        for part in (data, b"\r\n"):
            client.send(part)
            if part == data:
                for _ in range(3 if data == HEALTH * 3 else 1):
                    assert (await client.read_answer()).status == 200
            await client.sent()
            assert serving.connection._head_timer is None


async def test_lines_of_nothing_do_not_go_on_for_ever(serving: Serving) -> None:
    async with serving.connect() as client:
        for _ in range(20):
            client.send(b"\r\n" * 1000)
            await client.sent()
        assert (await client.read_answer()).status == 431


async def test_more_requests_in_one_go_than_are_queued_are_all_answered(serving: Serving) -> None:
    async with serving.connect() as client:
        client.send(HEALTH * 200)
        for _ in range(200):
            assert (await client.read_answer()).status == 200
        assert serving.connection._head_timer is None


async def test_nothing_is_served_with_another_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_parser, "HttpRequestParser", http_parser.HttpRequestParserPy)
    with pytest.raises(RuntimeError, match="C parser"):
        ClientServer(lambda request: pytest.fail("served"))


async def serves_on(serving: Serving) -> None:
    """Nothing has reached a provider, nothing runs, and others are served."""
    assert serving.line.transport.calls == []
    await until(lambda: not serving.line.services.running)
    async with serving.connect() as client:
        client.send(HEALTH)
        assert (await client.read_answer()).status == 200

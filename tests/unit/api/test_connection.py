"""What is not HTTP, what comes slowly, and many requests on one connection."""

import logging

import pytest
from aiohttp import web

from gateway.api.connection import ClientServer
from tests.support.http import CHAT, chat_body, request_bytes
from tests.support.raw import RawClient
from tests.support.replay import completion, full_response, until
from tests.support.serving import OPEN_CONFIG, ServeText, Serving, loopback_listener

BODY = b'{"model": "auto", "messages": [{"role": "user"}]}'
NOT_HTTP = {
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "space before the colon": b"GET /health HTTP/1.1\r\nhost : x\r\n\r\n",
    "folded header": b"GET /health HTTP/1.1\r\nhost: x\r\nx-a: 1\r\n 2\r\n\r\n",
    "NUL in a header": b"GET /health HTTP/1.1\r\nhost: x\r\nx-a: \x00\r\n\r\n",
    "two lengths": b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n" % CHAT.encode(),
    "odd length": b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: +3\r\n\r\nabc" % CHAT.encode(),
    "length and chunks": b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    % CHAT.encode(),
}


@pytest.mark.parametrize("data", NOT_HTTP.values(), ids=NOT_HTTP)
async def test_what_is_not_http_is_one_json_400_and_the_end(serving: Serving, data: bytes) -> None:
    async with serving.connect() as client:
        client.send(data)
        answer = await client.read_answer()
        assert answer.status == 400
        error = answer.error()
        assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_http")
        assert error["message"] == "the request is not valid HTTP"  # nothing of the parser's, nor of the client's
        assert (answer.header("x-request-id") or "").startswith("req-")
        assert answer.header("server") == "llm-gateway"
        assert answer.header("connection") == "close"
        assert await client.read_rest() == b""
    assert serving.line.transport.calls == []


@pytest.mark.parametrize("version", ["", " HTTP/0.9", " HTTP/2.0", " HTTP/1.2", " HTTP/3.0"])
async def test_another_version_is_refused(serving: Serving, version: str) -> None:
    for first in (f"GET /health{version}", f"POST {CHAT}{version}"):
        async with serving.connect() as client:
            client.send(f"{first}\r\n\r\n".encode())
            answer = await client.read_answer()
            assert answer.status == 400
            assert answer.error()["code"] == "invalid_http"
            assert await client.read_rest() == b""


async def test_a_body_that_is_badly_framed_is_400_and_the_end(serving: Serving) -> None:
    async with serving.connect() as client:
        client.send(b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n" % CHAT.encode())
        client.send(b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n")
        answer = await client.read_answer()
        assert (answer.status, answer.error()["code"]) == (400, "invalid_http")
        assert answer.header("connection") == "close"
        assert await client.read_rest() == b""
    assert serving.line.transport.calls == []


async def test_a_head_that_does_not_end_is_408(serve_text: ServeText) -> None:
    serving = await serve_text(OPEN_CONFIG + "server: {limits: {head_timeout: 20ms}}\n")
    async with serving.connect() as client:
        client.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n")
        answer = await client.read_answer()
        assert (answer.status, answer.error()["code"]) == (408, "request_timeout")
        assert answer.header("connection") == "close"
        assert await client.read_rest() == b""


async def test_a_head_in_pieces_is_taken_and_stops_the_clock(serving: Serving) -> None:
    async with serving.connect() as client:
        client.send(b"GET /hea")
        await until(lambda: bool(serving.server.connections) and serving.connection._head_timer is not None)
        client.send(b"lth HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await client.read_answer()).status == 200
        assert serving.connection._head_timer is None


async def test_the_clock_of_a_head_does_not_outlive_its_connection(serving: Serving) -> None:
    async with serving.connect() as client:
        client.send(b"GET /hea")
        await until(lambda: bool(serving.server.connections) and serving.connection._head_timer is not None)
        connection = serving.connection
    await until(lambda: connection._head_timer is None)


async def test_a_body_in_pieces_starts_no_clock_of_a_head(serving: Serving) -> None:
    async with serving.connect() as client:
        client.send(f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n".encode())
        await until(lambda: bool(serving.server.connections) and serving.connection._head_timer is not None)
        client.send(b"content-length: 9\r\n\r\n{")
        await until(lambda: len(serving.line.services.running) == 1)
        client.send(b"       ")
        client.send(b"}")
        assert (await client.read_answer()).status == 400
        assert serving.connection._head_timer is None


async def test_requests_in_one_go_are_answered_in_their_order(serving: Serving) -> None:
    serving.line.play(a=[full_response(completion("first")), full_response(completion("second"))])
    async with serving.connect() as client:
        client.send(
            request_bytes("POST", CHAT, chat_body("auto"))
            + request_bytes("GET", "/health")
            + request_bytes("POST", CHAT, b"{")
            + request_bytes("POST", CHAT, chat_body("auto"))
        )
        answers = [await client.read_answer() for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 400, 200]
    assert answers[0].body == completion("first")
    assert answers[3].body == completion("second")
    assert len({answer.header("x-request-id") for answer in answers}) == 4


async def test_what_follows_garbage_is_not_served(serving: Serving) -> None:
    async with serving.connect() as client:
        client.send(b"NONSENSE\r\n\r\n" + request_bytes("GET", "/health"))
        assert (await client.read_answer()).status == 400
        assert await client.read_rest() == b""


async def test_an_unexpected_failure_is_500_without_its_reasons(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(request: web.BaseRequest) -> web.StreamResponse:
        raise ZeroDivisionError("a secret path")

    runner = web.ServerRunner(ClientServer(fail, access_log=None))
    await runner.setup()
    try:
        listener = loopback_listener()
        await web.SockSite(runner, listener).start()
        async with RawClient(listener.getsockname()[1]) as client:
            with caplog.at_level(logging.ERROR):
                client.request("GET", "/", headers={"x-request-id": "mine-1"})
                answer = await client.read_answer()
            assert (answer.status, answer.error()["code"]) == (500, "internal_error")
            assert b"secret" not in answer.body
            assert answer.header("x-request-id") == "mine-1"
            assert await client.read_rest() == b""
    finally:
        await runner.cleanup()
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.request_id == "mine-1"  # type: ignore[attr-defined]

"""Requests that are passed through: real sockets on both sides, a client that hides nothing, a provider with a script."""

import asyncio
import json
import socket
from contextlib import suppress
from typing import Any

import pytest

from tests.support.http import request_bytes
from tests.support.loops import on_every_loop
from tests.support.passthrough import (
    KEY,
    PROVIDER_KEYS,
    WITH_KEY,
    ReceivedRequest,
    passthrough_server,
    receive_head,
    receive_request,
    wait_soon,
)
from tests.support.replay import until
from tests.support.upstream import Peer, ok, turns

FILES = "/v1/files"
LARGE = bytes(range(256)) * 1024  # 256 KiB: an upload
MULTIPART = {"content-type": 'multipart/form-data; boundary="a b"'}


class Provider:
    """Hears requests and answers each with the next answer, the last one again and again."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers) or [ok(b"{}")]
        self.heard: list[ReceivedRequest] = []

    async def __call__(self, peer: Peer) -> None:
        while True:
            self.heard.append(await receive_request(peer))
            answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
            await peer.send(answer)


def status(code: int, body: bytes = b"", headers: str = "content-type: application/json") -> bytes:
    return f"HTTP/1.1 {code} X\r\ncontent-length: {len(body)}\r\n{headers}\r\n\r\n".encode() + body


# Who may, and what


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/v1/fine_tuning/jobs", 404),
        ("POST", "/v1/batches", 404),  # its `when` does not hold
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/v1/models/ranker", 405),
        ("GET", "/v1/realtime", 404),
        ("PUT", "/v1/files/file-1", 405),
        ("POST", "/v1/vector_stores", 405),
        ("GET", "/v1/files/../chat/completions", 404),
        ("GET", "/v1/files/./a", 404),
        ("GET", "/v1/files//a", 404),
        ("GET", "/v1/files/", 404),
        ("GET", "/v1/files%2fa", 404),
        ("GET", "/v1/files/%2e%2e/a", 404),
        ("GET", "/v1/files/a;b", 404),
        ("GET", "/v1/files/a\\b", 404),
        ("GET", "/files", 404),
    ],
)
@on_every_loop
async def test_what_no_route_names_reaches_nobody(method: str, path: str, code: int) -> None:
    async with passthrough_server(Provider()) as gateway:
        answer = await gateway.ask(method, path)
        assert answer.status == code
        assert answer.error()["type"] == "invalid_request_error"
        assert gateway.upstream.peers == []


@on_every_loop
async def test_realtime_is_refused_in_words() -> None:
    async with passthrough_server(Provider()) as gateway:
        assert "realtime" in (await gateway.ask("GET", "/v1/realtime?model=x")).error()["message"]
        answer = await gateway.ask("GET", "/v1/realtime", headers={"upgrade": "websocket", "connection": "upgrade"})
        assert (answer.status, answer.error()["code"]) == (400, "upgrade_refused")
        assert "realtime" in answer.error()["message"]


@on_every_loop
async def test_a_path_that_takes_other_methods_says_which() -> None:
    async with passthrough_server(Provider()) as gateway:
        assert (await gateway.ask("PATCH", FILES)).header("allow") == "GET, HEAD, POST, DELETE"
        assert (await gateway.ask("POST", "/v1/vector_stores")).header("allow") == "GET, HEAD"


@on_every_loop
async def test_without_a_key_nothing_is_asked_and_the_body_is_not_invited() -> None:
    async with passthrough_server(Provider()) as gateway, gateway.connect() as client:
        client.request("POST", FILES, headers={"expect": "100-continue", "content-length": "100000"})
        assert (await client.read_head()).status == 401
        assert gateway.upstream.peers == []
        x = await gateway.last()
        assert (x.status, x.path, x.outcome) == (401, FILES, "failed")


@on_every_loop
async def test_a_route_is_open_to_those_for_whom_its_condition_holds() -> None:
    provider = Provider(ok(b"[]"))
    async with passthrough_server(
        provider, edit=lambda text: text.replace("models: [none-of-them-*]", "labels: {plan: staff}")
    ) as gateway:
        assert (await gateway.ask("GET", "/v1/batches")).body == b"[]"
        assert (await gateway.last()).decision.route == "staff"


# What crosses


@on_every_loop
async def test_what_crosses_to_the_provider_is_on_a_list() -> None:
    provider = Provider()
    sent = {
        "accept": "audio/mpeg",
        "range": "bytes=0-1",
        "if-none-match": '"a"',
        "openai-beta": "assistants=v2",
        "traceparent": "00-1-2-3",
        "x-request-id": "r-7",
        "cookie": "a=b",
        "openai-organization": "org-of-the-client",
        "x-api-key": KEY,
        "forwarded": "for=1.2.3.4",
        "x-own": "1",
        "te": "trailers",
        "via": "1.1 llm-gateway",
    }
    async with passthrough_server(provider) as gateway:
        await gateway.ask("POST", f"{FILES}/f-1/part?purpose=batch&a=%2F", b"xyz", {**sent, **MULTIPART})
        port = gateway.upstream.origin.port
    (heard,) = provider.heard
    assert (heard.line, heard.body) == (f"POST {FILES}/f-1/part?purpose=batch&a=%2F HTTP/1.1", b"xyz")
    own = {name: heard.headers.pop(name) for name in ("user-agent", "host")}
    assert own["host"] == f"127.0.0.1:{port}" and own["user-agent"].startswith("llm-gateway/")
    assert heard.headers == {
        "authorization": f"Bearer {PROVIDER_KEYS[0]}",
        "accept-encoding": "identity",
        "via": "1.1 llm-gateway, 1.1 llm-gateway",
        "content-length": "3",
        **{
            name: sent[name]
            for name in ("accept", "range", "if-none-match", "openai-beta", "traceparent", "x-request-id")
        },
        **MULTIPART,
    }


@on_every_loop
async def test_a_provider_of_another_kind_gets_its_own_headers_and_the_whole_path() -> None:
    provider = Provider()
    async with passthrough_server(provider) as gateway:
        await gateway.ask("GET", "/v1/messages/batches", headers={"anthropic-beta": "b-1"})
    headers = provider.heard[0].headers
    assert provider.heard[0].line == "GET /v1/messages/batches HTTP/1.1"
    assert (headers["x-api-key"], headers["anthropic-version"], headers["anthropic-beta"]) == (
        "k-2",
        "2023-06-01",
        "b-1",
    )
    assert not {"content-length", "transfer-encoding", "content-type", "accept"} & set(headers)


@on_every_loop
async def test_what_crosses_to_the_client_is_on_a_list() -> None:
    crossing = {
        "content-type": "audio/mpeg",
        "content-disposition": 'attachment; filename="a.mp3"',
        "etag": '"a"',
        "last-modified": "Mon, 23 Nov 2026 10:00:00 GMT",
        "openai-processing-ms": "12",
        "x-ratelimit-remaining-requests": "7",
    }
    others = {
        "set-cookie": "a=b",
        "x-secret": "s",
        "server": "provider",
        "openai-organization": "ours",
        "location": "/x",
    }
    head = "\r\n".join(f"{name}: {value}" for name, value in {**crossing, **others}.items())
    async with passthrough_server(Provider(status(200, b"sound", head))) as gateway:
        answer = await gateway.ask("POST", "/v1/audio/speech", {"input": "hello"})
    got = dict(answer.head.headers)
    assert got.pop("x-request-id").startswith("req-") and got.pop("x-gateway-overhead-ms") and got.pop("date")
    assert answer.body == b"sound"
    assert got == {
        **crossing,
        "content-length": "5",
        "server": "llm-gateway",
        "x-gateway-config": "1",
        "x-gateway-route": "rest",
        "x-gateway-pool": "p/-",
        "x-gateway-attempts": "1",
    }


@pytest.mark.parametrize(
    "query", ["api_key=abc", "KEY=x", "a=1&access_token=x", "a=" + KEY, KEY, "a=x" + KEY, "to%6ben=x"]
)
@on_every_loop
async def test_a_key_in_the_query_is_refused(query: str) -> None:
    async with passthrough_server(Provider()) as gateway:
        answer = await gateway.ask("GET", f"{FILES}?{query}")
        assert (answer.status, answer.error()["code"]) == (400, "invalid_request")
        assert gateway.upstream.peers == [] and KEY not in answer.error()["message"]


@on_every_loop
async def test_a_key_in_the_path_is_refused_and_not_written_down() -> None:
    async with passthrough_server(Provider()) as gateway:
        answer = await gateway.ask("GET", f"{FILES}/x{KEY}")
        assert (answer.status, answer.error()["code"]) == (400, "invalid_request")
        assert gateway.upstream.peers == [] and KEY not in answer.error()["message"]
        assert (await gateway.last()).path == f"{FILES}/x…"


@on_every_loop
async def test_a_query_that_is_not_plain_is_refused() -> None:
    async with passthrough_server(Provider()) as gateway, gateway.connect() as client:
        client.send(f"GET {FILES}?a=\xe9 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\r\n".encode())
        assert (await client.read_answer()).status == 400
        assert gateway.upstream.peers == []


# Bodies


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 1 << 20])
@on_every_loop
async def test_a_body_keeps_its_bytes_and_its_length(size: int) -> None:
    provider, body = Provider(), (LARGE * 4)[:size]
    async with passthrough_server(provider) as gateway:
        answer = await gateway.ask("POST", FILES, body, MULTIPART)
        x = await gateway.last()
    assert (answer.status, provider.heard[0].body) == (200, body)
    assert provider.heard[0].headers["content-length"] == str(size)
    assert (x.meter.bytes_in, x.meter.bytes_out, x.model, x.provider, x.cost_picodollars) == (size, 2, "", "p", 0)


@on_every_loop
async def test_a_body_in_chunks_goes_on_in_chunks() -> None:
    provider = Provider()
    async with passthrough_server(provider) as gateway, gateway.connect() as client:
        client.request("POST", FILES, headers={**WITH_KEY, **MULTIPART, "transfer-encoding": "chunked"})
        for _ in range(4):
            client.send(b"%x\r\n%b\r\n" % (len(LARGE), LARGE))
            await client.sent()
        client.send(b"0\r\n\r\n")
        assert (await client.read_answer()).status == 200
        client.request("GET", FILES, headers=WITH_KEY)  # the connection is as good as before
        assert (await client.read_answer()).status == 200
    assert provider.heard[0].body == LARGE * 4
    assert (
        provider.heard[0].headers["transfer-encoding"] == "chunked"
        and "content-length" not in provider.heard[0].headers
    )


@on_every_loop
async def test_an_upload_gets_a_connection_of_its_own_and_leaves_it_to_the_next() -> None:
    async with passthrough_server(Provider()) as gateway:
        for body in (None, LARGE, LARGE, None, b"small"):
            assert (await gateway.ask("GET" if body is None else "POST", FILES, body)).status == 200
        assert len(gateway.upstream.peers) == 3


@on_every_loop
async def test_a_body_is_invited_when_the_provider_can_take_it() -> None:
    provider = Provider()
    async with passthrough_server(provider) as gateway, gateway.connect() as client:
        expecting = {**WITH_KEY, "expect": "100-continue", "content-length": str(len(LARGE))}
        client.request("POST", FILES, headers=expecting)
        assert (await client.read_head()).status == 100
        assert len(gateway.upstream.peers) == 1
        client.send(LARGE)
        assert (await client.read_answer()).status == 200
    assert provider.heard[0].body == LARGE and "expect" not in provider.heard[0].headers


@on_every_loop
async def test_a_small_body_is_invited_too() -> None:
    provider = Provider()
    async with passthrough_server(provider) as gateway, gateway.connect() as client:
        client.request("POST", FILES, headers={**WITH_KEY, "expect": "100-continue", "content-length": "5"})
        assert (await client.read_head()).status == 100
        client.send(b"hello")
        assert (await client.read_answer()).status == 200
    assert provider.heard[0].body == b"hello"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"content-length": str((4 << 20) + 1)}, 413),
        ({"content-length": "100000", "content-encoding": "gzip"}, 415),
    ],
)
@on_every_loop
async def test_a_body_that_is_not_taken_is_not_invited(headers: dict[str, str], code: int) -> None:
    async with passthrough_server(Provider()) as gateway, gateway.connect() as client:
        client.request("POST", FILES, headers={**WITH_KEY, "expect": "100-continue", **headers})
        assert (await client.read_head()).status == code
        assert gateway.upstream.peers == []


@on_every_loop
async def test_no_body_is_invited_where_nobody_can_be_asked() -> None:
    async with passthrough_server(
        Provider(), edit=lambda text: text.replace('url: "http://127.0.0.1', 'url: "http://127.0.0.2')
    ) as gateway:
        async with gateway.connect() as client:
            client.request("POST", FILES, headers={**WITH_KEY, "expect": "100-continue", "content-length": "100000"})
            head = await client.read_head()
        assert (head.status, head.get("connection")) == (502, "close")


@on_every_loop
async def test_a_body_in_chunks_that_grows_over_the_limit_ends_on_both_sides() -> None:
    ended = asyncio.Event()

    async def take(peer: Peer) -> None:
        await peer.closed()
        ended.set()

    async with passthrough_server(take) as gateway, gateway.connect() as client:
        client.request("POST", FILES, headers={**WITH_KEY, "transfer-encoding": "chunked"})
        with suppress(ConnectionError):
            for _ in range(20):
                client.send(b"%x\r\n%b\r\n" % (len(LARGE), LARGE))
                await client.sent()
        answer = await client.read_answer()
        assert (answer.status, answer.error()["code"]) == (413, "request_too_large")
        await wait_soon(ended)
        x = await gateway.last()
        assert x.attempts[-1].outcome == "failed"
        assert gateway.line.endpoints["p/-"].breaker.state.label == "closed"


@on_every_loop
async def test_a_body_that_is_badly_framed_is_told_and_ends_the_upload() -> None:
    ended = asyncio.Event()

    async def take(peer: Peer) -> None:
        await peer.closed()
        ended.set()

    async with passthrough_server(take) as gateway, gateway.connect() as client:
        client.request("POST", FILES, headers={**WITH_KEY, "transfer-encoding": "chunked"})
        client.send(b"5\r\nhello\r\n")
        await client.sent()
        client.send(b"zz\r\n")
        answer = await client.read_answer()
        assert (answer.status, answer.error()["code"]) == (400, "invalid_http")
        await wait_soon(ended)


# Slow, stuck and gone


@on_every_loop
async def test_a_provider_that_does_not_take_holds_the_client_up_and_then_ends_it() -> None:
    async def take_nothing(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(30)

    async with passthrough_server(
        take_nothing, edit=lambda text: text.replace("4MiB", "1GiB").replace("idle: 300ms", "idle: 2s")
    ) as gateway:
        async with gateway.connect() as client:
            client.request("POST", FILES, headers={**WITH_KEY, "content-length": str(1 << 28)})
            sent = 0
            with suppress(TimeoutError, ConnectionError):
                while True:
                    client.send(LARGE)
                    async with asyncio.timeout(0.5):  # before the idle clock ends it
                        await client.sent()
                    sent += len(LARGE)
            assert sent < 64 << 20  # of the 256 MiB: what the sockets hold, and no more
            answer = await client.read_answer()
        assert (answer.status, answer.error()["code"]) == (504, "idle_timeout")
        assert (await gateway.last()).attempts[0].code == "idle_timeout"


@on_every_loop
async def test_a_slow_but_steady_upload_takes_longer_than_every_clock_of_a_piece() -> None:
    provider = Provider()
    async with passthrough_server(provider) as gateway, gateway.connect() as client:
        client.request("POST", FILES, headers={**WITH_KEY, "content-length": str(len(LARGE))})
        for at in range(0, len(LARGE), 1 << 15):
            client.send(LARGE[at : at + (1 << 15)])
            await asyncio.sleep(0.1)  # eight times: longer than `body_timeout`, `idle` and `answer`
        assert (await client.read_answer()).status == 200
    assert provider.heard[0].body == LARGE


@on_every_loop
async def test_a_client_that_stops_sending_is_told_and_the_provider_is_let_go() -> None:
    ended = asyncio.Event()

    async def take(peer: Peer) -> None:
        await peer.closed()
        ended.set()

    async with passthrough_server(take) as gateway, gateway.connect() as client:
        client.request("POST", FILES, headers={**WITH_KEY, "content-length": str(len(LARGE))})
        client.send(LARGE[:1000])
        answer = await client.read_answer()
        assert (answer.status, answer.error()["code"]) == (408, "request_timeout")
        await wait_soon(ended)


@on_every_loop
async def test_the_answers_clock_begins_when_the_upload_has_ended() -> None:
    async def silent(peer: Peer) -> None:
        await receive_request(peer)
        await peer.closed()

    async with passthrough_server(silent) as gateway:
        answer = await gateway.ask("POST", FILES, LARGE)
        assert (answer.status, answer.error()["code"]) == (504, "answer_timeout")
        assert len(gateway.upstream.peers) == 1  # an upload that was sent is not sent again


@pytest.mark.parametrize("phase", ["before the body", "in the body", "before the answer", "in the answer"])
@on_every_loop
async def test_a_client_that_leaves_ends_its_call(phase: str) -> None:
    reached, ended = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        if phase == "before the answer":
            await receive_request(peer)
        else:
            await receive_head(peer)
        if phase == "in the body":
            await peer.reader.readexactly(1000)
        if phase == "in the answer":
            await peer.reader.readexactly(len(LARGE))
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc")
        reached.set()
        await peer.closed()
        ended.set()

    async with passthrough_server(script) as gateway:
        async with gateway.connect() as client:
            client.request("POST", FILES, headers={**WITH_KEY, "content-length": str(len(LARGE))})
            if phase != "before the body":
                client.send(LARGE[:1000] if phase == "in the body" else LARGE)
            await wait_soon(reached)
            if phase == "in the answer":
                assert (await client.read_head()).status == 200
        await wait_soon(ended)
        x = await gateway.last()
        assert (x.outcome, x.attempts[-1].outcome) == ("abandoned", "abandoned")
        assert gateway.line.endpoints["p/-"].in_flight == 0


@on_every_loop
async def test_a_provider_that_goes_in_the_middle_of_an_upload_is_502_once() -> None:
    async def leave(peer: Peer) -> None:
        await receive_head(peer)
        await peer.reader.readexactly(1000)
        peer.reset()

    async with passthrough_server(leave) as gateway, gateway.connect() as client:
        client.request("POST", FILES, headers={**WITH_KEY, "content-length": str(1 << 20)})
        client.send(LARGE)
        answer = await client.read_answer()
        assert (answer.status, answer.error()["code"]) == (502, "upstream_unavailable")
        assert len(gateway.upstream.peers) == 1


@on_every_loop
async def test_a_slow_client_holds_its_provider_up() -> None:
    sent = 0

    async def flood(peer: Peer) -> None:
        nonlocal sent
        await receive_request(peer)
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (1 << 28))
        for _ in range(1024):
            await peer.send(LARGE)
            sent += len(LARGE)

    async with passthrough_server(flood) as gateway:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, ("127.0.0.1", gateway.port))
            await loop.sock_sendall(client, request_bytes("GET", f"{FILES}/f/content", headers=WITH_KEY))
            x = await gateway.last()  # cut by `write_timeout`
        assert x.error is not None and x.error.error_code == "client_stalled"
        assert sent < 16 << 20
        assert gateway.line.endpoints["p/-"].breaker.state.label == "closed"


# Answers


@on_every_loop
async def test_an_answer_in_chunks_stays_one_and_comes_as_it_is_sent() -> None:
    first, second = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await receive_request(peer)
        await peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await first.wait()
        await peer.send(b"3\r\ndef\r\n0\r\n\r\n")
        await second.wait()

    async with passthrough_server(script) as gateway, gateway.connect() as client:
        client.request("POST", "/v1/audio/speech", {"input": "x"}, WITH_KEY)
        head = await client.read_head()
        assert head.get("transfer-encoding") == "chunked" and head.get("content-length") is None
        assert await client.read_chunk() == b"abc"
        first.set()
        assert [await client.read_chunk(), await client.read_chunk()] == [b"def", b""]
        second.set()


@on_every_loop
async def test_ranges_deletions_and_conditions_keep_their_status() -> None:
    part = status(206, b"bc", "content-range: bytes 1-2/4\r\naccept-ranges: bytes")
    provider = Provider(
        part, status(200, b'{"deleted":true}'), b'HTTP/1.1 304 X\r\netag: "a"\r\n\r\n', b"HTTP/1.1 204 X\r\n\r\n"
    )
    async with passthrough_server(provider) as gateway, gateway.connect() as client:
        client.request("GET", f"{FILES}/f/content", headers={**WITH_KEY, "range": "bytes=1-2"})
        answer = await client.read_answer()
        assert (answer.status, answer.body, answer.header("content-range")) == (206, b"bc", "bytes 1-2/4")
        client.request("DELETE", f"{FILES}/f", headers=WITH_KEY)
        assert (await client.read_answer()).json() == {"deleted": True}
        for code in (304, 204):
            client.request("GET", f"{FILES}/f", headers={**WITH_KEY, "if-none-match": '"a"'})
            head = await client.read_head()
            assert (head.status, head.get("content-length"), head.get("transfer-encoding")) == (code, None, None)
    assert [one.line.split()[0] for one in provider.heard] == ["GET", "DELETE", "GET", "GET"]


@on_every_loop
async def test_head_has_the_head_alone() -> None:
    provider = Provider(b'HTTP/1.1 200 OK\r\ncontent-length: 5000\r\netag: "a"\r\n\r\n')
    async with passthrough_server(provider) as gateway, gateway.connect() as client:
        for _ in range(2):
            client.request("HEAD", f"{FILES}/f/content", headers=WITH_KEY)
            answer = await client.read_answer(is_head=True)
            assert (answer.status, answer.header("content-length"), answer.header("etag")) == (200, "5000", '"a"')
        client.request("HEAD", f"{FILES}/../f", headers=WITH_KEY)
        assert (await client.read_answer(is_head=True)).status == 404


@on_every_loop
async def test_an_answer_that_breaks_off_never_looks_whole() -> None:
    async def script(peer: Peer) -> None:
        await receive_request(peer)
        head = b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n" if peer.number else b"content-length: 9\r\n\r\nabc"
        await peer.send(b"HTTP/1.1 200 OK\r\n" + head)

    async with passthrough_server(script) as gateway:
        for rest in (b"abc", b"3\r\nabc\r\n"):
            async with gateway.connect() as client:
                client.request("GET", f"{FILES}/f/content", headers=WITH_KEY)
                await client.read_head()
                assert await client.read_rest() == rest
            x = await gateway.last()
            assert (x.outcome, x.status, x.attempts[-1].outcome) == ("failed", 200, "failed")


@on_every_loop
async def test_a_client_of_http_1_0_gets_its_answer_until_the_end_of_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await receive_request(peer)
        await peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        await peer.closed()

    async with passthrough_server(script) as gateway, gateway.connect() as client:
        client.send(f"GET {FILES} HTTP/1.0\r\nauthorization: Bearer {KEY}\r\n\r\n".encode())
        head = await client.read_head()
        assert (head.get("connection"), head.get("transfer-encoding")) == ("close", None)
        assert await client.read_rest() == b"abc"


@pytest.mark.parametrize(("code", "length"), [(413, 20), (400, 0), (429, 12)])
@on_every_loop
async def test_a_provider_that_refuses_an_upload_early_is_believed(code: int, length: int) -> None:
    body = json.dumps({"error": "x" * length}).encode()
    ended = asyncio.Event()

    async def refuse(peer: Peer) -> None:
        await receive_head(peer)
        await peer.reader.readexactly(10)
        await peer.send(status(code, body))
        await peer.closed()
        ended.set()

    async with passthrough_server(refuse) as gateway, gateway.connect() as client:
        client.request("POST", FILES, headers={**WITH_KEY, "content-length": str(1 << 20)})
        client.send(LARGE[:50_000])
        answer = await client.read_answer()
        assert (answer.status, answer.body, answer.header("connection")) == (code, body, "close")
        await wait_soon(ended)
        assert gateway.line.endpoints["p/-"].breaker.state.label == "closed"


@on_every_loop
async def test_a_provider_may_answer_while_it_still_takes() -> None:
    async def echo(peer: Peer) -> None:
        await receive_head(peer)
        await peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(4):
            piece = await peer.reader.readexactly(len(LARGE) // 4)
            await peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        await peer.send(b"0\r\n\r\n")
        await peer.closed()

    async with passthrough_server(echo) as gateway, gateway.connect() as client:
        client.request("POST", "/v1/audio/echo", headers={**WITH_KEY, "content-length": str(len(LARGE))})
        quarter, got = len(LARGE) // 4, b""
        client.send(LARGE[:quarter])
        assert (await client.read_head()).status == 200
        for at in range(0, len(LARGE), quarter):
            while len(got) < at + quarter:
                got += await client.read_chunk()
            client.send(LARGE[at + quarter : at + 2 * quarter])
        assert (got, await client.read_chunk()) == (LARGE, b"")


@on_every_loop
async def test_a_provider_that_has_answered_is_sent_nothing_more(caplog: pytest.LogCaptureFixture) -> None:
    ended = asyncio.Event()

    async def answer(peer: Peer) -> None:
        await receive_head(peer)
        await peer.reader.readexactly(10)
        await peer.send(ok(b"enough"))
        await peer.closed()
        ended.set()

    async with passthrough_server(answer) as gateway:
        async with gateway.connect() as client:
            client.request("POST", FILES, headers={**WITH_KEY, "content-length": str(1 << 20)})
            client.send(LARGE[:50_000])
            got = await client.read_answer()
            assert (got.status, got.body) == (200, b"enough")
            await wait_soon(ended)
            client.send(LARGE)  # is read and dropped for a while, so that the answer is not lost
            await client.sent()
            assert await client.read_rest() == b""
        assert (await gateway.last()).outcome == "ok"
        assert gateway.line.services.tasks._tasks == set()
    assert caplog.records == []


@on_every_loop
async def test_an_upload_goes_elsewhere_while_nothing_of_it_was_sent() -> None:
    def with_a_dead_end(text: str) -> str:
        port = text.partition("127.0.0.1:")[2].partition("/")[0]
        return text.replace(
            f'url: "http://127.0.0.1:{port}/v1"', f'urls: ["http://127.0.0.2:{port}/v1", "http://127.0.0.1:{port}/v1"]'
        )

    provider = Provider()
    async with passthrough_server(provider, edit=with_a_dead_end) as gateway:
        answer = await gateway.ask("POST", FILES, LARGE)
        assert (answer.status, answer.header("x-gateway-attempts")) == (200, "2")
        assert [one.code for one in (await gateway.last()).attempts] == ["upstream_connect", None]
    assert provider.heard[0].body == LARGE


@on_every_loop
async def test_a_provider_without_its_key_is_off_and_says_so() -> None:
    async with passthrough_server(
        Provider(),
        edit=lambda text: text.replace("keys: [provider-key-1]", 'key: ""').replace(
            "match: [auto], to: ranker", "match: [ranker], to: requested"
        ),
    ) as gateway:
        answer = await gateway.ask("GET", FILES)
        assert (answer.status, answer.error()["code"]) == (503, "no_endpoint_available")


@on_every_loop
async def test_a_gateway_that_stops_says_so_and_cuts_what_runs() -> None:
    async def silent(peer: Peer) -> None:
        await receive_request(peer)
        await peer.closed()

    async with passthrough_server(silent) as gateway, gateway.connect() as client:
        client.request("GET", FILES, headers=WITH_KEY)
        await until(lambda: len(gateway.upstream.peers) == 1)
        gateway.line.services.cut_running()
        answer = await client.read_answer()
        assert (answer.status, answer.error()["code"]) == (503, "shutting_down")


@on_every_loop
async def test_redirects_are_not_followed() -> None:
    async with passthrough_server(Provider(status(302, b"", "location: http://127.0.0.1:1/"))) as gateway:
        answer = await gateway.ask("GET", f"{FILES}/f/content")
        assert (answer.status, answer.error()["code"]) == (502, "upstream_protocol_error")
        assert len(gateway.upstream.peers) == 1
        assert gateway.line.endpoints["p/-"].breaker.state.label == "closed"


# Failures


@pytest.mark.parametrize(("code", "asked"), [(404, 1), (409, 1), (500, 3), (503, 3)])
@on_every_loop
async def test_a_get_is_asked_again_after_a_failure_and_the_last_word_is_the_providers(code: int, asked: int) -> None:
    provider = Provider(status(code, b'{"error":{"message":"its own"}}'))
    async with passthrough_server(provider) as gateway:
        answer = await gateway.ask("GET", FILES)
    assert (answer.status, answer.body) == (code, b'{"error":{"message":"its own"}}')
    assert answer.header("x-gateway-attempts") == str(len(provider.heard)) == str(asked)


@pytest.mark.parametrize("body", [b"small", LARGE])
@on_every_loop
async def test_a_post_is_not_asked_again_after_a_failure(body: bytes) -> None:
    provider = Provider(status(500, b"plain words", "content-type: text/plain"))
    async with passthrough_server(provider) as gateway:
        answer = await gateway.ask("POST", FILES, body)
        assert (await gateway.last()).attempts[0].outcome == "failed"
    assert (answer.status, answer.body, len(provider.heard)) == (500, b"plain words", 1)


@on_every_loop
async def test_the_breaker_opens_for_what_is_passed_through_alone() -> None:
    provider = Provider(status(500))
    async with passthrough_server(provider) as gateway:
        for _ in range(5):
            await gateway.ask("POST", FILES, b"x")
        answer = await gateway.ask("POST", FILES, b"x")
        assert (answer.status, answer.error()["code"]) == (503, "no_endpoint_available")
        assert {id: one.breaker.state.label for id, one in gateway.line.endpoints.items()}["p/ranker"] == "closed"
    assert len(provider.heard) == 5


@on_every_loop
async def test_a_refused_key_is_replaced_where_the_body_is_at_hand() -> None:
    for method, body, code, asked in (("GET", None, 200, 2), ("POST", b"small", 200, 2), ("POST", LARGE, 502, 1)):
        provider = Provider(status(401, b'{"error":{"message":"our key"}}'), ok(b"{}"))
        async with passthrough_server(provider, keys=2) as gateway:
            answer = await gateway.ask(method, FILES, body)
            assert (answer.status, len(provider.heard)) == (code, asked)
            assert b"our key" not in answer.body
            assert (await gateway.ask("POST", FILES, LARGE)).status == 200  # the other key's turn
        keys = [one.headers["authorization"].removeprefix("Bearer ") for one in provider.heard]
        assert keys[0] == PROVIDER_KEYS[0] and set(keys[1:]) == {PROVIDER_KEYS[1]}


@on_every_loop
async def test_a_stale_connection_costs_no_small_request() -> None:
    provider = Provider()

    async def close_after_one(peer: Peer) -> None:
        provider.heard.append(await receive_request(peer))
        await peer.send(ok(b"{}"))

    async with passthrough_server(close_after_one) as gateway:
        for _ in range(3):
            assert (await gateway.ask("POST", FILES, b"x")).status == 200
            await turns(20)


# Money


@pytest.mark.parametrize(
    ("answer", "model", "usage", "picodollars"),
    [
        ({"model": "rank-1", "usage": {"total_tokens": 7}}, "ranker", (7, 0), 14_000_000),
        ({"model": "pic-9", "usage": {"input_tokens": 3, "output_tokens": 2}}, "pic-*", (3, 2), 11_000_000),
        ({"model": "unknown", "usage": {"total_tokens": 7}}, "", None, 0),
        ({"usage": {"total_tokens": 7}}, "", None, 0),
        ({"model": "rank-1", "usage": {"type": "duration", "seconds": 3}}, "", None, 0),
        (["not an object"], "", None, 0),
    ],
)
@on_every_loop
async def test_an_answer_that_says_model_and_use_is_charged(
    answer: Any, model: str, usage: tuple[int, int] | None, picodollars: int
) -> None:
    async with passthrough_server(Provider(status(200, json.dumps(answer).encode()))) as gateway:
        assert (await gateway.ask("POST", "/v1/rerank", {"query": "x"})).json() == answer
        x = await gateway.last()
    assert (x.model, x.cost_picodollars) == (model, picodollars)
    found = None if x.usage is None else (x.usage.total_input, x.usage.total_output)
    assert found == usage


@on_every_loop
async def test_a_large_document_passes_and_is_not_read() -> None:
    body = json.dumps({"model": "rank-1", "usage": {"total_tokens": 7}, "more": "x" * (1 << 20)}).encode()
    chunked = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    chunked += b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    for sent in (status(200, body), chunked):
        async with passthrough_server(Provider(sent)) as gateway:
            assert (await gateway.ask("POST", "/v1/rerank", {"query": "x"})).body == body
            assert (await gateway.last()).cost_picodollars == 0


# Whenever


@on_every_loop
async def test_a_client_may_leave_at_any_moment_and_nothing_is_left_behind() -> None:
    async def take(peer: Peer) -> None:
        await receive_head(peer)
        await peer.reader.readexactly(len(LARGE) // 2)
        await peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await peer.reader.readexactly(len(LARGE) // 2)
        await peer.send(b"3\r\ndef\r\n")
        await peer.closed()

    async with passthrough_server(take) as gateway:
        for moment in range(80):
            async with gateway.connect() as client:
                client.request("POST", "/v1/audio/echo", LARGE, WITH_KEY)
                await turns(moment)
        services = gateway.line.services
        await until(lambda: not services.running and not services.tasks._tasks)
        await until(lambda: all(peer.gone.is_set() for peer in gateway.upstream.peers))
        endpoint = gateway.line.endpoints["p/-"]
        assert (endpoint.in_flight, endpoint.load.in_flight) == (0, 0)
        assert {x.outcome for x in gateway.filed} == {"abandoned"}
        assert endpoint.breaker.state.label == "closed"

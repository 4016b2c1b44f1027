"""Clients that read a long unstreamed response slowly, or not at all."""

import asyncio
import socket

import pytest

from tests.support.http import CHAT
from tests.support.replay import completion, full_response, until
from tests.support.serving import OPEN_CONFIG, ServeText

LONG = completion().replace(b'"id"', b'"x":"' + b"a" * (25 * 2**20) + b'","id"', 1)
BODY = b'{"model":"m-a","messages":[{"role":"user","content":"x"}]}'
REQUEST = b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    CHAT.encode(),
    len(BODY),
    BODY,
)


def connected(port: int) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 2**10)
    client.setblocking(False)
    client.connect_ex(("127.0.0.1", port))
    return client


async def test_a_client_that_does_not_read_holds_one_piece_and_is_cut(serve_text: ServeText) -> None:
    serving = await serve_text(OPEN_CONFIG + "server: {limits: {write_timeout: 300ms}}\n")
    serving.line.play(a=full_response(LONG))
    loop = asyncio.get_running_loop()
    with connected(serving.port) as client:
        await loop.sock_sendall(client, REQUEST)
        await until(lambda: bool(serving.server.connections) and serving.connection.writing_paused)
        transport = serving.connection.transport
        assert transport is not None and transport.get_write_buffer_size() <= 256 * 2**10
        await until(lambda: bool(serving.line.reporter.filed))
    (exchange,) = serving.line.reporter.filed
    assert exchange.error is not None and exchange.error.error_code == "client_stalled"


async def test_a_slow_reader_gets_all_of_it_however_long_it_takes(serve_text: ServeText) -> None:
    serving = await serve_text(OPEN_CONFIG + "server: {limits: {write_timeout: 200ms}}\n")
    serving.line.play(a=full_response(LONG))
    loop = asyncio.get_running_loop()
    began, size = loop.time(), 0
    with connected(serving.port) as client:
        await loop.sock_sendall(client, REQUEST)
        while size < len(LONG):
            part = await loop.sock_recv(client, 2**20)
            assert part
            size += len(part)
            if loop.time() - began < 0.6:
                await asyncio.sleep(0.05)
    await until(lambda: bool(serving.line.reporter.filed))
    assert loop.time() - began > 0.5
    assert serving.line.reporter.filed[0].outcome == "ok"


async def test_a_client_that_leaves_in_the_middle_is_logged_so(serve_text: ServeText) -> None:
    serving = await serve_text(OPEN_CONFIG)
    serving.line.play(a=full_response(LONG))
    with connected(serving.port) as client:
        await asyncio.get_running_loop().sock_sendall(client, REQUEST)
        await until(lambda: bool(serving.server.connections) and serving.connection.writing_paused)
    await until(lambda: bool(serving.line.reporter.filed))
    assert serving.line.reporter.filed[0].outcome == "abandoned"


@pytest.mark.parametrize("path", ["/v1/models", "/health", "/nothing"])
async def test_every_response_has_one_date(serve_text: ServeText, path: str) -> None:
    serving = await serve_text(OPEN_CONFIG)
    async with serving.connect() as client:
        client.request("GET", path)
        answer = await client.read_answer()
    assert [name.lower() for name, _ in answer.head.headers].count("date") == 1

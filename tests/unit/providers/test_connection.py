"""What is believed of an answer, and what is not; on both event loops."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.core.errors import GatewayError, ProtocolError, UpstreamError
from gateway.providers.connection import HEAD_LIMIT
from gateway.providers.transport import Transport
from tests.support.loops import on_every_loop, until
from tests.support.upstream import CollectingSink, Peer, Script, Upstream, body_of, call, chunked, ok, upstream


@asynccontextmanager
async def connected(script: Script) -> AsyncIterator[tuple[Transport, Upstream]]:
    transport = Transport()
    async with upstream(script) as served:
        try:
            yield transport, served
        finally:
            transport.close()


async def ask(transport: Transport, served: Upstream, body: bytes = b"") -> bytes:
    return await body_of(await transport.send(call(served.origin, body)))


def replies(answer: bytes) -> Script:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)
        await peer.closed()

    return script


async def say_number(peer: Peer) -> None:
    """Answer each request with the number of its connection."""
    while True:
        await peer.request()
        await peer.send(ok(b"%d" % peer.number))


def say_at_once(peer: Peer, data: bytes) -> None:
    """Send without the loop, so that the bytes are there before anything else happens."""
    os.write(peer.writer.get_extra_info("socket").fileno(), data)


# Unrequested bytes


@pytest.mark.parametrize("late", [ok(b"poison"), b"x", b"\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
@on_every_loop
async def test_what_is_there_before_the_request_disqualifies_the_connection(late: bytes) -> None:
    async with connected(say_number) as (transport, served):
        assert await ask(transport, served) == b"0"
        say_at_once(served.peers[0], late)
        assert await ask(transport, served) == b"1"
        await served.peers[0].gone.wait()


@on_every_loop
async def test_a_close_that_is_under_way_disqualifies_the_connection() -> None:
    async with connected(say_number) as (transport, served):
        assert await ask(transport, served) == b"0"
        with socket.socket(fileno=os.dup(served.peers[0].writer.get_extra_info("socket").fileno())) as same:
            same.shutdown(socket.SHUT_WR)
        assert await ask(transport, served, b"once") == b"1"
        assert served.peers[0].requests == 1


@pytest.mark.parametrize(
    "late", [b"x", b"late bytes of another answer", b"0\r\n\r\n", b"\x00", b"HTTP/9.9 x", b"HTTP/1.1 2x"]
)
@on_every_loop
async def test_late_bytes_that_are_no_answer_cost_the_next_request_nothing(late: bytes) -> None:
    async with connected(say_number) as (transport, served):
        assert await ask(transport, served) == b"0"
        asking = asyncio.ensure_future(ask(transport, served))
        await asyncio.sleep(0)  # the request is on its way
        say_at_once(served.peers[0], late)
        assert await asking == b"1"
        assert transport.counts == (0, 1)


@pytest.mark.parametrize("late", [b"\r\n", b"H", b"HTTP/1.1 20"])
@pytest.mark.parametrize("is_reset", [False, True])
@on_every_loop
async def test_late_bytes_and_a_close_cost_the_next_request_nothing(late: bytes, is_reset: bool) -> None:
    async with connected(say_number) as (transport, served):
        assert await ask(transport, served) == b"0"
        asking = asyncio.ensure_future(ask(transport, served))
        await asyncio.sleep(0)
        say_at_once(served.peers[0], late)
        if is_reset:
            served.peers[0].reset()
        else:
            served.peers[0].writer.transport.abort()
        assert await asking == b"1"


@on_every_loop
async def test_an_answer_to_a_request_that_was_not_sent_belongs_to_nobody() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(ok(b"%d" % peer.number))
        await peer.reader.read(1)
        if peer.number == 0:
            await peer.send(ok(b"poison"))
            await peer.closed()
        else:
            await peer.request()

    async with connected(script) as (transport, served):
        assert await ask(transport, served) == b"0"
        assert await ask(transport, served, b"x" * 16 * 2**20) == b"1"


@on_every_loop
async def test_garbage_is_made_up_for_once_only_and_not_on_a_new_connection() -> None:
    async def script(peer: Peer) -> None:
        if peer.number == 0:
            await peer.request()
            await peer.send(ok(b"0"))
        await peer.request()
        await peer.send(b"garbage")
        await peer.closed()

    async with connected(script) as (transport, served):
        assert await ask(transport, served) == b"0"
        with pytest.raises(ProtocolError):
            await ask(transport, served)
        assert len(served.peers) == 2
        with pytest.raises(ProtocolError):
            await ask(transport, served)
        assert len(served.peers) == 3


@pytest.mark.parametrize(
    "begun",
    [b"HTTP/1.1 200 OK\r\nx: y\r\n\x00", b"HTTP/1.1 100 Continue\r\n\r\nx", b"HTTP/1.1 200 OK\r\nx: y\r\nz\r\n\r\n"],
)
@on_every_loop
async def test_an_answer_that_has_begun_is_not_asked_for_again(begun: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(ok(b"0"))
        await peer.request()
        await peer.send(begun)
        await peer.closed()

    async with connected(script) as (transport, served):
        assert await ask(transport, served) == b"0"
        with pytest.raises(ProtocolError):
            await ask(transport, served)
        assert len(served.peers) == 1


# Heads


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 000 None\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 099 None\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/0.9 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-type: a/b\r\ncontent-type: c/d\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: identity\r\ncontent-encoding: gzip\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3, 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ncontent-length: +3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nx : y\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: y\r\n folded\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\rb\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nx: \x1b[2J\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: \x7f\r\ncontent-length: 0\r\n\r\n",
    ],
)
@on_every_loop
async def test_a_head_that_means_two_things_or_none_is_refused(head: bytes) -> None:
    async with connected(replies(head)) as (transport, served):
        with pytest.raises(ProtocolError):
            await ask(transport, served)
        await served.peers[0].gone.wait()


@pytest.mark.parametrize(
    ("value", "shown"),
    [(b"plain", "plain"), (b"caf\xc3\xa9", ""), (b"\xff", ""), (b"a\tb", ""), (b"", "")],
)
@on_every_loop
async def test_only_plain_values_are_shown(value: bytes, shown: str) -> None:
    async with connected(replies(ok(b"", b"x-shown: " + value + b"\r\n"))) as (transport, served):
        answer = await transport.send(call(served.origin))
        assert answer.header(b"x-shown") == shown and answer.header(b"x-missing") == ""
        answer.close()


@pytest.mark.parametrize("size", [1, 10_000])
@on_every_loop
async def test_trailers_change_nothing(size: int) -> None:
    sent = chunked(b"body", last=b"0\r\ncontent-type: text/evil\r\nopenai-version: 9\r\n\r\n")

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            for start in range(0, len(sent), size):
                await peer.send(sent[start : start + size])

    async with connected(script) as (transport, served):
        for _ in range(2):
            answer = await transport.send(call(served.origin))
            assert await body_of(answer) == b"body"
            assert answer.content_type == b"text/event-stream"
            assert set(answer.headers) == {b"content-type", b"transfer-encoding"}
        assert len(served.peers) == 1


# What never ends


def endless(begin: bytes, more: bytes) -> Script:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(begin)
        try:
            while True:
                await peer.send(more)
                await asyncio.sleep(0)
        except ConnectionError:
            return

    return script


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"HTTP/1.1 200 ", b"y" * 1000),
        (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 100),
        (b"HTTP/1.1 200 OK\r\nx: ", b"y" * 1000),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 10),
        (b"", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"),
        (chunked(b"hello", last=b"1;"), b"x" * 1000),
        (chunked(b"hello", last=b"1;x="), b"x" * 1000),
        (chunked(b"hello", last=b'1;x="'), b"x" * 1000),
        (chunked(b"hello", last=b""), b"1;" + b"x" * 1000 + b"\r\ny\r\n"),
        (chunked(b"hello", last=b"0\r\n"), b"x: y\r\n" * 100),
        (chunked(b"hello", last=b"0\r\nx: "), b"y" * 1000),
        (chunked(b"hello", last=b""), b"0" * 1000),
    ],
)
@on_every_loop
async def test_what_frames_and_holds_nothing_is_given_up(begin: bytes, more: bytes) -> None:
    async with connected(endless(begin, more)) as (transport, served):
        sink = CollectingSink()
        with pytest.raises(UpstreamError) as caught:
            answer = await transport.send(call(served.origin))
            answer.attach(sink)
            async with asyncio.timeout(20):
                await sink.done
            assert sink.error is not None
            raise sink.error
        assert isinstance(caught.value, ProtocolError)
        assert sink.data.strip(b"y") in (b"", b"hello") and len(sink.data) < 1000
        await served.peers[0].gone.wait()


@on_every_loop
async def test_chunks_of_one_byte_are_a_manner_of_speaking() -> None:
    body = b"x" * (HEAD_LIMIT // 2)
    async with connected(replies(chunked(*(body[at : at + 1] for at in range(len(body)))))) as (transport, served):
        assert await ask(transport, served) == body


# Bodies that none may have


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\ncontent-length: 6\r\n\r\npoison",
        b"HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n6\r\npoison\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n" + ok(b"poison"),
    ],
)
@on_every_loop
async def test_a_body_behind_a_status_without_one_reaches_nobody(answer: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer if peer.number == 0 else ok(b"fresh"))
        await peer.closed()

    async with connected(script) as (transport, served):
        assert await ask(transport, served) == b""
        assert await ask(transport, served) == b"fresh"
        await served.peers[0].gone.wait()


@on_every_loop
async def test_no_connection_is_left_behind_by_any_of_it() -> None:
    async with connected(replies(b"HTTP/1.1 000\r\n\r\n")) as (transport, served):
        for _ in range(50):
            with pytest.raises(GatewayError):
                await ask(transport, served)
        await until(lambda: all(peer.gone.is_set() for peer in served.peers))
        assert len(served.peers) == 50


@on_every_loop
async def test_surplus_bytes_are_counted_whenever_they_come_and_over_every_pool() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(ok(b"x") + (b"surplus" if peer.number == 0 else b""))
        if peer.number == 1:
            await asyncio.sleep(0.01)
            await peer.send(b"late")
        await peer.closed()

    async with connected(script) as (transport, served):
        await ask(transport, served)
        assert transport.counts == (1, 0)
        await ask(transport, served)
        await served.peers[1].gone.wait()
        assert transport.counts == (2, 0)
        transport.retain(())
        await ask(transport, served)
        assert transport.counts == (2, 0)

"""The HTTP client against a provider that does what a script says, on both event loops."""

import asyncio
import gc
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.core.errors import GatewayError, ProtocolError, Unavailable, UpstreamTimeout
from gateway.providers import transport as transport_module
from gateway.providers.addresses import Address
from gateway.providers.transport import EARLY_LIMIT, HEAD_LIMIT, IDLE_LIMIT_S, Origin, Transport
from gateway.resilience.timeouts import Timeouts
from tests.support.loops import in_virtual_time, on_every_loop, until
from tests.support.upstream import CollectingSink, Peer, Script, Upstream, body_of, call, chunked, ok, upstream


@asynccontextmanager
async def connected(script: Script, *, unix: str = "") -> AsyncIterator[tuple[Transport, Upstream]]:
    """Yield a transport and a provider for it; both are closed afterwards, and nothing may be left."""
    transport = Transport()
    async with upstream(script, unix=unix) as served:
        try:
            yield transport, served
        finally:
            transport.close()


async def echo(peer: Peer) -> None:
    """Answer each request with its own body, and which one on which connection it is."""
    while True:
        body = await peer.request()
        await peer.send(ok(b"%d/%d:%b" % (peer.number, peer.requests, body)))


async def ask(transport: Transport, served: Upstream, body: bytes = b"") -> bytes:
    return await body_of(await transport.send(call(served.origin, body)))


def replies(*answers: bytes) -> Script:
    """Answer one request on each connection, then close."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answers[min(peer.number, len(answers) - 1)])

    return script


# Keeping connections


@on_every_loop
async def test_a_connection_is_used_again_when_its_answer_is_complete() -> None:
    async with connected(echo) as (transport, served):
        assert [await ask(transport, served, b"x") for _ in range(3)] == [b"0/1:x", b"0/2:x", b"0/3:x"]


@on_every_loop
async def test_a_unix_socket_is_a_provider_like_any_other(tmp_path: Path) -> None:
    async with connected(echo, unix=str(tmp_path / "s")) as (transport, served):
        assert [await ask(transport, served, b"x") for _ in range(2)] == [b"0/1:x", b"0/2:x"]


@on_every_loop
async def test_requests_at_the_same_time_have_connections_of_their_own() -> None:
    async with connected(echo) as (transport, served):
        answers = await asyncio.gather(*(ask(transport, served, b"%d" % number) for number in range(5)))
        assert [answer.partition(b":")[2] for answer in answers] == [b"0", b"1", b"2", b"3", b"4"]
        assert len(served.peers) == 5
        await asyncio.gather(*(ask(transport, served) for _ in range(5)))
        assert len(served.peers) == 5


@on_every_loop
async def test_a_large_request_arrives_whole() -> None:
    body = bytes(range(256)) * 4096 * 4
    async with connected(echo) as (transport, served):
        assert await ask(transport, served, body) == b"0/1:" + body
        assert await ask(transport, served, b"x") == b"0/2:x"


@pytest.mark.parametrize("face", ["closed", "reset", "closed after the request", "reset after the request"])
@on_every_loop
async def test_a_stale_connection_costs_no_request(face: str) -> None:
    may_close = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(ok(b"%d" % peer.number))
        if peer.number == 0:
            if "after" in face:
                await peer.request()
            else:
                await may_close.wait()
            if "reset" in face:
                peer.reset()
            return
        await peer.closed()

    async with connected(script) as (transport, served):
        assert await ask(transport, served) == b"0"
        may_close.set()  # noticed, or not yet: both must do
        assert await ask(transport, served) == b"1"
        assert len(served.peers) == 2


@on_every_loop
async def test_a_closing_that_was_noticed_costs_no_second_try() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(ok(b"%d" % peer.number))

    async with connected(script) as (transport, served):
        for number in range(3):
            assert await ask(transport, served) == b"%d" % number
            await asyncio.sleep(0.01)


@on_every_loop
async def test_a_stale_connection_is_made_up_for_once_only() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 0:
            await peer.send(ok(b"0"))
            await peer.request()

    async with connected(script) as (transport, served):
        assert await ask(transport, served) == b"0"
        with pytest.raises(Unavailable):
            await ask(transport, served)
        assert len(served.peers) == 2


@on_every_loop
async def test_a_new_connection_that_closes_without_an_answer_is_not_tried_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()

    async with connected(script) as (transport, served):
        with pytest.raises(Unavailable):
            await ask(transport, served)
        assert len(served.peers) == 1


@on_every_loop
async def test_a_pooled_connection_that_breaks_inside_its_answer_is_not_tried_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(ok(b"0"))
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-")

    async with connected(script) as (transport, served):
        assert await ask(transport, served) == b"0"
        with pytest.raises(Unavailable):
            await ask(transport, served)
        assert len(served.peers) == 1


@on_every_loop
async def test_a_provider_that_closes_as_soon_as_it_has_accepted_is_unavailable() -> None:
    async def script(peer: Peer) -> None:
        peer.reset()

    async with connected(script) as (transport, served):
        for _ in range(50):
            with pytest.raises(Unavailable):
                await ask(transport, served, b"x" * 100_000)


@on_every_loop
async def test_a_provider_that_speaks_first_is_not_believed() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(ok(b"nobody asked"))
        await peer.request()

    async with connected(script) as (transport, served):
        for _ in range(5):
            try:
                answer = await ask(transport, served)
            except GatewayError:
                continue
            assert answer == b"nobody asked"  # it came with the request under way: HTTP can't tell


@on_every_loop
async def test_connections_of_an_origin_that_is_gone_are_closed_idle_or_not() -> None:
    go_on = asyncio.Event()

    async def script(peer: Peer) -> None:
        if await peer.request() == b"slow":
            await go_on.wait()
        await peer.send(ok(b"x"))
        await peer.closed()

    async with connected(script) as (transport, served):
        slow = asyncio.ensure_future(ask(transport, served, b"slow"))
        await until(lambda: served.peers and served.peers[0].requests)
        await ask(transport, served)
        transport.retain(())
        await served.peers[1].gone.wait()
        go_on.set()
        assert await slow == b"x"
        await served.peers[0].gone.wait()
        assert await ask(transport, served) == b"x" and len(served.peers) == 3


@on_every_loop
async def test_no_more_than_so_many_connections_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "IDLE_LIMIT", 2)
    async with connected(echo) as (transport, served):
        await asyncio.gather(*(ask(transport, served) for _ in range(4)))
        await asyncio.gather(*(ask(transport, served) for _ in range(4)))
        assert len(served.peers) == 6


@in_virtual_time
async def test_idle_connections_are_closed_before_the_provider_does() -> None:
    async with connected(echo) as (transport, served):
        await ask(transport, served)
        began = asyncio.get_running_loop().time()
        await served.peers[0].gone.wait()
        assert IDLE_LIMIT_S <= asyncio.get_running_loop().time() - began <= IDLE_LIMIT_S * 1.5


@in_virtual_time
async def test_a_connection_that_was_long_in_use_is_closed_when_idle_as_well() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await asyncio.sleep(100)
        await peer.send(ok(b"x"))
        await peer.closed()

    async with connected(script) as (transport, served):
        await ask(transport, served)
        began = asyncio.get_running_loop().time()
        await served.peers[0].gone.wait()
        assert asyncio.get_running_loop().time() - began <= IDLE_LIMIT_S * 1.5


# What an answer may look like


@pytest.mark.parametrize("size", [1, 3, 10**6])
@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (ok(b"hello"), b"hello"),
        (ok(b""), b""),
        (chunked(b"hello", b"x" * 5000), b"hello" + b"x" * 5000),
        (chunked(b"a", last=b"0\r\nx-trailer: y\r\n\r\n"), b"a"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + ok(b"a"), b"a"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 200\r\ncontent-length: 1\r\n\r\na", b"a"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na", b"a"),
    ],
)
@on_every_loop
async def test_an_answer_is_read_however_it_is_framed_and_cut(answer: bytes, body: bytes, size: int) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        for start in range(0, len(answer), size):
            await peer.send(answer[start : start + size])
            if size < 100 and len(answer) < 500:
                await asyncio.sleep(0)

    async with connected(script) as (transport, served):
        assert await ask(transport, served) == body


@on_every_loop
async def test_the_head_is_given_with_names_in_lower_case() -> None:
    head = b"Content-Type: Text/Event-Stream; charset=utf-8\r\nX-A: 1\r\nx-a: 2\r\n"
    async with connected(replies(ok(b"", head))) as (transport, served):
        answer = await transport.send(call(served.origin))
        assert (answer.status, answer.content_type, answer.headers[b"x-a"]) == (200, b"text/event-stream", b"2")
        assert await body_of(answer) == b""


@pytest.mark.parametrize("surplus", [b"x" * 9, ok(b"second"), b"\x00", b"HTTP/1.1 100 Continue\r\n\r\n"])
@pytest.mark.parametrize("answer", [ok(b"first"), chunked(b"first")])
@on_every_loop
async def test_surplus_bytes_leave_the_answer_whole_and_reach_nobody(answer: bytes, surplus: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer + surplus if peer.number == 0 else ok(b"fresh"))
        await peer.closed()

    async with connected(script) as (transport, served):
        assert await ask(transport, served) == b"first"
        assert await ask(transport, served) == b"fresh"
        await served.peers[0].gone.wait()


@on_every_loop
async def test_bytes_that_nobody_asked_for_close_an_idle_connection() -> None:
    speak = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(ok(b"%d" % peer.number))
        await speak.wait()
        await peer.send(ok(b"of somebody else"))
        await peer.closed()

    async with connected(script) as (transport, served):
        assert await ask(transport, served) == b"0"
        speak.set()
        await served.peers[0].gone.wait()
        assert await ask(transport, served) == b"1"


@pytest.mark.parametrize("how", ["connection: close\r\n", "keep-alive"])
@on_every_loop
async def test_a_connection_is_kept_only_where_the_answer_says_so(how: str) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(ok(b"x", b"" if how == "keep-alive" else how.encode()))

    async with connected(script) as (transport, served):
        await ask(transport, served)
        await ask(transport, served)
        assert len(served.peers) == (1 if how == "keep-alive" else 2)


@on_every_loop
async def test_an_answer_that_came_before_the_request_was_read_costs_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(ok(b"too large"))
        await peer.closed()

    async with connected(script) as (transport, served):
        sock_full = b"x" * 16 * 2**20
        assert await ask(transport, served, sock_full) == b"too large"
        assert await ask(transport, served) == b"too large" and len(served.peers) == 2


# What it may not look like


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", Unavailable),
        (b"HTTP/1.1 200 OK\r\ncontent-le", Unavailable),
        (b"SSH-2.0-OpenSSH_9.9\r\n", ProtocolError),
        (b"<html></html>\r\n\r\n", ProtocolError),
        (b"\x16\x03\x01\x02\x00\x01\x00", ProtocolError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello", ProtocolError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello", ProtocolError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nhello", ProtocolError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", ProtocolError),
        (b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n", ProtocolError),
        (b"HTTP/1.1 200 OK\r\nx: a\x00b\r\n\r\n", ProtocolError),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", ProtocolError),
        (b"HTTP/1.1 100 Continue\r\n\r\n", Unavailable),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 9000, ProtocolError),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * (HEAD_LIMIT * 5 // 6), ProtocolError),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * HEAD_LIMIT * 8, ProtocolError),
    ],
)
@on_every_loop
async def test_a_head_that_is_wrong_is_an_error(answer: bytes, error: type[GatewayError]) -> None:
    async with connected(replies(answer)) as (transport, served):
        with pytest.raises(GatewayError) as caught:
            await body_of(await transport.send(call(served.origin)))
        assert type(caught.value) is error and caught.value.is_retryable


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", Unavailable),
        (chunked(b"hello", last=b""), Unavailable),
        (chunked(b"hello", last=b"5\r\nhel"), Unavailable),
        (chunked(b"hello", last=b"0\r\n"), Unavailable),
        (chunked(b"hello", last=b"zz\r\nhello\r\n"), ProtocolError),
        (chunked(b"hello", last=b"1\r\nhello\r\n"), ProtocolError),
        (chunked(b"hello", last=b"fffffffffffffffff\r\n"), ProtocolError),
    ],
)
@on_every_loop
async def test_a_body_that_breaks_is_an_error_behind_what_had_come(answer: bytes, error: type[GatewayError]) -> None:
    async with connected(replies(answer)) as (transport, served):
        sink = CollectingSink()
        (await transport.send(call(served.origin))).attach(sink)
        await sink.done
        assert type(sink.error) is error and b"hello".startswith(sink.data[:5])


@on_every_loop
async def test_a_reset_inside_a_body_without_length_is_no_end() -> None:
    sent = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.0 200 OK\r\n\r\nhello")
        await sent.wait()
        peer.reset()

    async with connected(script) as (transport, served):
        sink = CollectingSink()
        (await transport.send(call(served.origin))).attach(sink)
        sent.set()
        await sink.done
        assert isinstance(sink.error, Unavailable)


# Connecting


@on_every_loop
async def test_no_error_of_a_connection_holds_an_address(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        refusing = Origin("127.0.0.1", taken.getsockname()[1])
        transport = Transport()
        origins = [refusing, Origin("does-not-exist.invalid", 80), Origin(unix=str(tmp_path / "nobody"))]
        for origin in origins:
            with pytest.raises(Unavailable) as caught:
                await transport.send(call(origin))
            assert caught.value.error_code == "upstream_connect"
            for secret in ("127", str(refusing.port), "invalid", "nobody", str(tmp_path)):
                assert secret not in caught.value.message
        transport.close()


@on_every_loop
async def test_a_provider_that_does_not_speak_tls_is_named_as_such() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.closed()

    async with connected(script) as (transport, served):
        with pytest.raises(Unavailable) as caught:
            await transport.send(call(Origin("127.0.0.1", served.origin.port, is_tls=True)))
        assert caught.value.error_code == "upstream_tls"
        assert "127" not in caught.value.message


@in_virtual_time
async def test_the_connect_clock_ends_a_connection_that_does_not_come_about() -> None:
    loop, answered = asyncio.get_running_loop(), threading.Event()

    def never(*_: object) -> list[Address]:
        answered.wait(10)
        return []

    transport, began = Transport(lookup=never), loop.time()
    with pytest.raises(UpstreamTimeout) as caught:
        await transport.send(call(Origin("slow.invalid", 80), timeouts=Timeouts(connect_s=2)))
    assert caught.value.error_code == "connect_timeout" and loop.time() - began == pytest.approx(2)
    answered.set()
    transport.close()


# Clocks


@pytest.mark.parametrize(
    ("is_stream", "timeouts", "total_s", "sent", "code", "at"),
    [
        (True, Timeouts(first_token_s=20), None, b"", "first_token_timeout", 20),
        (False, Timeouts(answer_s=30), None, b"", "answer_timeout", 30),
        (False, Timeouts(answer_s=30), None, chunked(last=b""), "answer_timeout", 30),
        (True, Timeouts(), 7, b"", "total_timeout", 7),
        (False, Timeouts(), 7, chunked(b"a", last=b""), "total_timeout", 7),
    ],
)
@in_virtual_time
async def test_each_clock_ends_the_answer_and_the_connection(
    is_stream: bool, timeouts: Timeouts, total_s: float | None, sent: bytes, code: str, at: float
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(sent)
        await peer.closed()

    loop = asyncio.get_running_loop()
    async with connected(script) as (transport, served):
        began = loop.time()
        total_at = None if total_s is None else began + total_s
        with pytest.raises(UpstreamTimeout) as caught:
            answer = await transport.send(
                call(served.origin, timeouts=timeouts, is_stream=is_stream, total_at=total_at)
            )
            sink = CollectingSink()
            answer.attach(sink)
            await sink.done
            assert sink.error is not None
            raise sink.error
        assert caught.value.error_code == code and loop.time() - began == pytest.approx(at)
        await served.peers[0].gone.wait()


@in_virtual_time
async def test_the_idle_clock_runs_from_the_last_byte() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(chunked(last=b""))
        for _ in range(5):
            await asyncio.sleep(29)
            await peer.send(b"1\r\na\r\n")
        await peer.closed()

    loop = asyncio.get_running_loop()
    async with connected(script) as (transport, served):
        answer = await transport.send(call(served.origin, timeouts=Timeouts(idle_s=30)))
        began = loop.time()
        answer.timers.body_started()
        sink = CollectingSink()
        answer.attach(sink)
        await sink.done
        assert sink.data == b"aaaaa" and sink.error is not None and sink.error.error_code == "idle_timeout"
        assert loop.time() - began == pytest.approx(5 * 29 + 30)


# Slowness


@on_every_loop
async def test_a_paused_answer_takes_nothing_and_goes_on_where_it_was() -> None:
    body = b"x" * 8 * 2**20

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(chunked(body))
        await peer.closed()

    async with connected(script) as (transport, served):
        answer = await transport.send(call(served.origin))
        sink = CollectingSink()
        answer.attach(sink)
        await until(lambda: sink.data)
        answer.pause()
        answer.pause()
        await asyncio.sleep(0)
        paused_at = len(sink.data)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(sink.data) == paused_at < len(body)
        answer.resume()
        answer.resume()
        await sink.done
        assert sink.error is None and sink.data == body


@on_every_loop
async def test_what_comes_before_anybody_asks_for_the_body_is_bounded() -> None:
    body = b"x" * 16 * 2**20

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(ok(body))
        await peer.closed()

    async with connected(script) as (transport, served):
        answer = await transport.send(call(served.origin))
        for _ in range(300):
            await asyncio.sleep(0)
        assert sum(map(len, answer._early)) <= EARLY_LIMIT + 2**18
        assert await body_of(answer) == body


# Leaving


@on_every_loop
async def test_closing_an_answer_closes_the_connection_in_every_phase() -> None:
    phases = [b"", b"HTTP/1.1 200 OK\r\n", chunked(last=b""), chunked(b"hello", last=b"")]

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(phases[peer.number])
        await peer.closed()

    async with connected(script) as (transport, served):
        for number, sent in enumerate(phases):
            asking = asyncio.ensure_future(transport.send(call(served.origin)))
            await until(lambda number=number: len(served.peers) > number and served.peers[number].requests)
            if b"\r\n\r\n" in sent:
                answer = await asking
                answer.attach(CollectingSink())
                answer.close()
            else:
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asking
            await served.peers[number].gone.wait()


@on_every_loop
async def test_cancelling_at_any_moment_leaves_nothing_open() -> None:
    """A request is cancelled after every number of turns of the loop that it may take: each time the provider notices."""
    open_peers = set()

    async def script(peer: Peer) -> None:
        open_peers.add(peer.number)
        try:
            await peer.request()
            await peer.send(ok(b"x"))
            await peer.closed()
        finally:
            open_peers.discard(peer.number)

    async with upstream(script) as served:
        cancelled = 0
        for turns in range(60):
            transport = Transport()
            asking = asyncio.ensure_future(ask(transport, served))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            try:
                await asking
            except asyncio.CancelledError:
                cancelled += 1
            transport.close()
            del transport, asking
        assert cancelled > 3
        await until(lambda: not open_peers)
    gc.collect()  # a socket that was left open would warn here


@on_every_loop
async def test_a_sink_may_close_the_answer_from_within() -> None:
    class Impatient(CollectingSink):
        def feed(self, data: bytes) -> None:
            super().feed(data)
            answer.close()

    for sent in (ok(b"hello"), chunked(b"hello", last=b""), ok(b"hello") + b"surplus"):

        async def script(peer: Peer, sent: bytes = sent) -> None:
            await peer.request()
            await peer.send(sent)
            await peer.closed()

        async with connected(script) as (transport, served):
            answer = await transport.send(call(served.origin))
            sink = Impatient()
            answer.attach(sink)
            assert sink.data in (b"hello", b"")
            transport.close()
            await served.peers[0].gone.wait()

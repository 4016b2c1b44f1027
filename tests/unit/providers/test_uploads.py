"""Bodies that are sent while they come, and answers without one: the connection under both."""

import asyncio

import pytest

from gateway.core.errors import GatewayError, Unavailable, UpstreamTimeout
from gateway.core.tasks import Tasks
from gateway.providers.transport import Transport, UpstreamResponse, WireRequest
from gateway.resilience.timeouts import Timeouts
from gateway.streaming.upload import Upload
from tests.support.loops import on_every_loop
from tests.support.passthrough import receive_head, receive_request
from tests.support.upstream import Peer, body_of, ok, turns, upstream

PIECE = b"x" * 65536


class Uploads:
    """A body of `count` pieces, each given when it is asked for; `taken` counts them."""

    def __init__(self, count: int) -> None:
        self.taken = 0
        self._count = count
        self.upload = Upload(self._read, Tasks(), count * len(PIECE))

    async def _read(self) -> bytes:
        await asyncio.sleep(0)
        if self.taken == self._count:
            return b""
        self.taken += 1
        return PIECE


async def ask(transport: Transport, call: WireRequest) -> UpstreamResponse:
    async with asyncio.timeout(5):
        return await transport.send(call)


def calling(
    origin: object, upload: Upload | None = None, *, timeouts: Timeouts | None = None, is_head: bool = False
) -> WireRequest:
    method = b"HEAD" if is_head else b"POST"
    length = b"content-length: %d\r\n" % (upload.size or 0) if upload is not None else b""
    head = b"%b /v1/files HTTP/1.1\r\nhost: x\r\n%b\r\n" % (method, length)
    return WireRequest(origin, head, b"", timeouts or Timeouts(), False, None, 60.0, upload, is_head)  # type: ignore[arg-type]


@on_every_loop
async def test_an_upload_never_goes_out_on_a_connection_that_was_kept() -> None:
    async def script(peer: Peer) -> None:
        while True:
            await receive_request(peer)
            await peer.send(ok(b"%d" % peer.number))

    async with upstream(script) as provider:
        transport, seen = Transport(), []
        for upload in (None, Uploads(3).upload, None):
            seen.append(await body_of(await ask(transport, calling(provider.origin, upload))))
        assert seen == [b"0", b"1", b"1"]  # the upload's own is as good as any afterwards
        transport.close()


@on_every_loop
async def test_no_more_is_taken_than_the_provider_has_room_for() -> None:
    go_on = asyncio.Event()

    async def script(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await go_on.wait()
        peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len((await receive_request(peer)).body) == 1024 * len(PIECE)
        await peer.send(ok(b"{}"))

    async with upstream(script) as provider:
        transport, body = Transport(), Uploads(1024)
        asking = asyncio.ensure_future(ask(transport, calling(provider.origin, body.upload)))
        before = -1
        while before != body.taken:
            before = body.taken
            await asyncio.sleep(0.05)
        assert body.taken < 512
        go_on.set()
        assert await body_of(await asking) == b"{}"
        assert body.taken == 1024
        transport.close()


@on_every_loop
async def test_an_answer_before_the_end_of_the_request_ends_its_connection() -> None:
    async def script(peer: Peer) -> None:
        await receive_head(peer)
        await peer.send(ok(b"enough"))
        await peer.closed()

    async with upstream(script) as provider:
        transport = Transport()
        for _ in range(2):
            body = Uploads(1024)
            assert await body_of(await ask(transport, calling(provider.origin, body.upload))) == b"enough"
            body.upload.stop()
            await body.upload.ended()
        assert len(provider.peers) == 2
        transport.close()


@on_every_loop
async def test_a_connection_that_breaks_off_is_told_and_lets_the_body_go() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readexactly(100_000)
        peer.reset()

    async with upstream(script) as provider:
        transport, body = Transport(), Uploads(1024)
        with pytest.raises(Unavailable):
            await ask(transport, calling(provider.origin, body.upload))
        body.upload.stop()
        await body.upload.ended()
        assert body.taken < 1024
        transport.close()


@pytest.mark.parametrize("answers", [True, False])
@on_every_loop
async def test_the_answers_clock_waits_for_the_end_of_the_upload(answers: bool) -> None:
    async def script(peer: Peer) -> None:
        await receive_request(peer)
        if answers:
            await peer.send(ok(b"{}"))
        await peer.closed()

    async def read() -> bytes:
        await asyncio.sleep(0.06)
        return parts.pop() if parts else b""

    async with upstream(script) as provider:
        transport, parts = Transport(), [PIECE] * 4
        upload = Upload(read, Tasks(), 4 * len(PIECE))
        call = calling(provider.origin, upload, timeouts=Timeouts(answer_s=0.1))
        if answers:
            assert await body_of(await ask(transport, call)) == b"{}"
        else:
            with pytest.raises(UpstreamTimeout):
                await ask(transport, call)
        transport.close()


@on_every_loop
async def test_an_upload_that_fails_fails_its_answer_and_closes() -> None:
    async def script(peer: Peer) -> None:
        await peer.closed()

    async def read() -> bytes:
        raise GatewayError("no more")

    async with upstream(script) as provider:
        transport = Transport()
        with pytest.raises(GatewayError, match="no more"):
            await ask(transport, calling(provider.origin, Upload(read, Tasks(), 5)))
        await turns(5)
        transport.close()


@on_every_loop
async def test_an_answer_to_head_ends_with_its_head() -> None:
    async def script(peer: Peer) -> None:
        await receive_head(peer)
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n")
        await peer.closed()

    async with upstream(script) as provider:
        transport = Transport()
        for _ in range(2):
            answer = await ask(transport, calling(provider.origin, is_head=True))
            assert (answer.status, answer.headers[b"content-length"]) == (200, b"5000")
            assert await body_of(answer) == b""
        transport.close()

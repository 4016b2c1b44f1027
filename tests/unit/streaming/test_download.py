"""An answer that nobody reads on its way down."""

import asyncio

import pytest

from gateway.core.errors import GatewayError, Unavailable
from gateway.resilience.timeouts import Timeouts
from gateway.streaming.download import Download, Sink
from gateway.streaming.timers import AttemptTimers
from tests.support.replay import Reply
from tests.support.upstream import turns


class Source:
    """An answer of which `early` has come before anybody asks for it."""

    def __init__(self, early: bytes = b"") -> None:
        timeouts = Timeouts(None, None, 5.0, 5.0, None)
        self.timers = AttemptTimers(
            timeouts, is_stream=False, total_at=None, write_timeout_s=60.0, expire=lambda error: None
        )
        self.is_paused = False
        self.sink: Sink
        self._early = early

    def attach(self, sink: Sink) -> None:
        self.sink = sink
        if self._early:
            sink.feed(self._early)

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False


async def test_everything_is_handed_on_as_it_comes() -> None:
    source, reply = Source(b"early "), Reply()
    download = Download(source)
    pumping = asyncio.ensure_future(download.pump(reply))
    await turns(1)
    assert reply.written == b"early "
    source.sink.feed(b"late")
    assert reply.written == b"early late"
    source.sink.finish(None)
    await pumping
    source.timers.stop()


async def test_a_client_that_has_enough_holds_the_provider_up() -> None:
    class Slow(Reply):
        def write(self, data: bytes) -> bool:
            super().write(data)
            return False

    source, reply = Source(), Slow()
    pumping = asyncio.ensure_future(Download(source).pump(reply))
    await turns(1)
    source.sink.feed(b"a")
    assert source.is_paused and source.timers.client_paused_at
    reply.on_drain()
    assert not source.is_paused and not source.timers.client_paused_at
    source.sink.finish(None)
    await pumping
    source.timers.stop()


async def test_an_answer_that_breaks_off_says_so_once() -> None:
    source, error = Source(), Unavailable("cut")
    pumping = asyncio.ensure_future(Download(source).pump(Reply()))
    await turns(1)
    source.sink.finish(error)
    source.sink.finish(None)
    with pytest.raises(GatewayError) as caught:
        await pumping
    assert caught.value is error
    source.timers.stop()


class Copy:
    """A tap that keeps what it sees."""

    def __init__(self) -> None:
        self.data = b""

    def feed(self, data: bytes) -> None:
        self.data += data

    def finish(self) -> None:
        raise AssertionError("the lifecycle says when a response was sent whole")


async def test_a_tap_sees_what_the_client_was_sent() -> None:
    source, reply, copy = Source(), Reply(), Copy()
    pumping = asyncio.ensure_future(Download(source).pump(reply, None, (copy,)))
    await turns(1)
    for part in (b"ab", b"cd"):
        source.sink.feed(part)
    source.sink.finish(None)
    await pumping
    assert (copy.data, reply.written) == (b"abcd", b"abcd")
    source.timers.stop()

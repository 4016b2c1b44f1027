"""A body on its way up: a piece at a time, never faster than the provider takes it."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.core.errors import GatewayError, RequestTooLarge
from gateway.core.tasks import Tasks
from gateway.resilience.timeouts import Timeouts
from gateway.streaming.timers import AttemptTimers
from gateway.streaming.upload import Upload
from tests.support.loops import in_virtual_time
from tests.support.upstream import turns


class Outlet:
    """A provider that has room, or `room` to wait for."""

    def __init__(self, idle_s: float | None = 5.0) -> None:
        timeouts = Timeouts(None, None, None, idle_s, None)
        self.timers = AttemptTimers(timeouts, is_stream=False, total_at=None, write_timeout_s=60.0, expire=self.fail)
        self.data = b""
        self.room: asyncio.Future[None] | None = None
        self.is_sent = False
        self.error: GatewayError | None = None

    def write_body(self, data: bytes) -> "asyncio.Future[None] | None":
        self.data += data
        return self.room

    def body_sent(self) -> None:
        self.is_sent = True

    def fail(self, error: GatewayError) -> None:
        self.error = error


def pieces(*given: bytes | GatewayError) -> Callable[[], Awaitable[bytes]]:
    left = list(given)

    async def read() -> bytes:
        one = left.pop(0) if left else b""
        if isinstance(one, GatewayError):
            raise one
        return one

    return read


@pytest.mark.parametrize(("size", "sent"), [(7, b"abcdefg"), (None, b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")])
async def test_pieces_are_sent_in_order_in_the_framing_that_the_size_asks_for(size: int | None, sent: bytes) -> None:
    outlet, upload = Outlet(), Upload(pieces(b"abc", b"defg"), Tasks(), size)
    assert not upload.has_begun
    await upload.ended()
    upload.start(outlet)
    assert upload.has_begun
    await upload.ended()
    assert (outlet.data, outlet.is_sent, outlet.error) == (sent, True, None)


async def test_no_piece_is_read_before_there_is_room_for_it() -> None:
    outlet, upload = Outlet(), Upload(pieces(b"a", b"b"), Tasks(), 2)
    outlet.room = asyncio.get_running_loop().create_future()
    upload.start(outlet)
    await turns(5)
    assert outlet.data == b"a"
    room, outlet.room = outlet.room, None
    room.set_result(None)
    await upload.ended()
    assert (outlet.data, outlet.is_sent) == (b"ab", True)


@in_virtual_time
async def test_a_provider_that_takes_nothing_runs_out_of_its_idle_clock() -> None:
    outlet, upload = Outlet(idle_s=5.0), Upload(pieces(b"a", b"b"), Tasks(), 2)
    outlet.room = asyncio.get_running_loop().create_future()
    began = asyncio.get_running_loop().time()
    upload.start(outlet)
    await upload.ended()
    assert outlet.error is not None and outlet.error.error_code == "idle_timeout"
    assert asyncio.get_running_loop().time() - began == pytest.approx(5.0)
    assert not outlet.is_sent


async def test_what_is_wrong_with_the_body_ends_the_answer() -> None:
    outlet, error = Outlet(), RequestTooLarge("too much")
    upload = Upload(pieces(b"a", error), Tasks(), None)
    upload.start(outlet)
    await upload.ended()
    assert (outlet.error, outlet.is_sent, outlet.data) == (error, False, b"1\r\na\r\n")


async def test_a_stop_ends_it_wherever_it_is() -> None:
    tasks, waiting = Tasks(), asyncio.Event()

    async def read() -> bytes:
        waiting.set()
        await asyncio.Future[None]()
        return b""

    outlet, upload = Outlet(), Upload(read, tasks, 1)
    upload.stop()  # not begun: nothing to stop
    upload.start(outlet)
    await waiting.wait()
    upload.stop()
    await upload.ended()
    assert (outlet.is_sent, outlet.error) == (False, None)
    await tasks.close()

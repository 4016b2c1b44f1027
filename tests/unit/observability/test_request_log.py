"""Request lines reach their descriptor, or are counted; the event loop never waits for it."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from gateway.observability.request_log import FLUSH_BYTES, RequestLog


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for fd in ends:
        try:
            os.close(fd)
        except OSError:  # a test closed it already
            continue


def fill(fd: int) -> int:
    """Fill the pipe behind `fd` to the brim; give how much it took."""
    os.set_blocking(fd, False)
    taken = 0
    try:
        while True:
            taken += os.write(fd, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(fd, True)
        return taken


def read_bytes(fd: int, size: int) -> None:
    """Read exactly `size` bytes from `fd`."""
    while size > 0:
        size -= len(os.read(fd, size))


def read_to(fd: int, end: bytes) -> None:
    """Read `fd` until what came last ends in `end`."""
    while not os.read(fd, 1024).endswith(end):
        continue


async def test_lines_arrive_whole_and_in_order(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    log = RequestLog(writer)
    lines = [f"line {number}\n".encode() for number in range(100)]
    for line in lines:
        log.write(line)
    log.close()
    assert os.read(reader, 65536) == b"".join(lines)
    assert log.dropped == 0


async def test_a_line_is_written_without_a_close(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    log = RequestLog(writer)
    log.write(b"alone\n")
    assert await asyncio.to_thread(os.read, reader, 100) == b"alone\n"
    log.close()


async def test_a_full_batch_does_not_wait_for_the_timer(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    log = RequestLog(writer)
    log.write(b"x" * FLUSH_BYTES)
    assert os.read(reader, 1) == b"x"  # the loop has not run since
    os.read(reader, FLUSH_BYTES)
    log.close()


async def test_a_stuck_reader_costs_lines_but_no_time(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    taken = fill(writer)
    log = RequestLog(writer, limit=1000)
    for _ in range(30):
        log.write(b"y" * 99 + b"\n")
    assert log.dropped == 20
    os.read(reader, taken)
    log.close()
    assert os.read(reader, 65536) == (b"y" * 99 + b"\n") * 10


async def test_room_comes_back_when_the_reader_does(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    log = RequestLog(writer, limit=2 * FLUSH_BYTES)
    for letter in (b"a", b"b", b"c"):
        log.write(letter * FLUSH_BYTES)
    assert log.dropped == 1
    read_to(reader, b"b")  # the second batch is begun, so the first is accounted for
    log.write(b"d" * FLUSH_BYTES)
    assert log.dropped == 1
    closing = asyncio.to_thread(log.close)
    await asyncio.gather(closing, asyncio.to_thread(read_bytes, reader, 2 * FLUSH_BYTES - 1024))


async def test_a_reader_that_is_gone_costs_lines_only(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    log = RequestLog(writer)
    log.write(b"one\n")
    log.write(b"two\n")
    log.close()
    assert log.dropped == 2


async def test_a_descriptor_made_non_blocking_by_others_loses_nothing(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.set_blocking(writer, False)
    log = RequestLog(writer)
    size = 256 * 1024  # four times what a pipe takes at once
    log.write(b"w" * size)
    read_bytes(reader, size)
    log.close()
    assert log.dropped == 0


async def test_close_does_not_wait_for_ever(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    fill(writer)
    log = RequestLog(writer)
    log.write(b"late\n")
    log.close(timeout_s=0.01)
    read_to(reader, b"late\n")  # lets the thread end


async def test_lines_after_close_are_counted_as_dropped(pipe: tuple[int, int]) -> None:
    log = RequestLog(pipe[1])
    log.close()
    log.close()
    log.write(b"late\n")
    assert log.dropped == 1

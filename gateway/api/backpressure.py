"""Sending to a client that is slow: long responses go out in pieces, and a client that takes nothing is found.

Between the response and the client stand the connection's buffer and the kernel's. A client that reads slowly makes progress
although neither lets the next piece in, so progress is measured by what both still hold.
"""

import asyncio
from contextlib import suppress
from fcntl import ioctl
from struct import unpack
from termios import TIOCOUTQ
from typing import TYPE_CHECKING, Final

from gateway.core.errors import ClientStalled

if TYPE_CHECKING:
    from gateway.api.connection import ClientConnection

PIECE_BYTES: Final = 64 * 2**10  # a connection buffers its high-water mark and one piece


def send_pieces(connection: "ClientConnection", unsent: memoryview) -> memoryview:
    """Write pieces until the client's buffer is full, and return the rest; nothing of it where the client has left."""
    while unsent and not connection.writing_paused:
        if (transport := connection.transport) is None or transport.is_closing():
            return unsent[:0]
        transport.write(unsent[:PIECE_BYTES])
        unsent = unsent[PIECE_BYTES:]
    return unsent


async def wait_for_room(connection: "ClientConnection", timeout_s: float) -> None:
    """Wait until the client's buffer takes more.

    Raises `ClientStalled` where the client takes nothing for `timeout_s`, `ConnectionError` where it has left.
    """
    if not connection.writing_paused:
        return
    has_room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    connection.on_drain = lambda: None if has_room.done() else has_room.set_result(None)
    try:
        while True:
            before = _untaken_bytes(connection)
            await asyncio.wait({has_room}, timeout=timeout_s)
            if has_room.done():
                return
            if connection.transport is None:
                raise ConnectionError("the client left")
            if _untaken_bytes(connection) >= before:
                raise ClientStalled("the client stopped reading")
    finally:
        connection.on_drain = None


def _untaken_bytes(connection: "ClientConnection") -> int:
    """Return how much the client has not taken: the connection's buffer, and the kernel's where that is known."""
    transport = connection.transport
    if transport is None:
        return 0
    size = transport.get_write_buffer_size()
    with suppress(OSError, AttributeError):  # not every kind of socket tells
        size += unpack("i", ioctl(transport.get_extra_info("socket").fileno(), TIOCOUTQ, bytes(4)))[0]
    return size

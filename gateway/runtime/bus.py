"""The bus: one Unix socket between control and each worker. What is sent stands in `messages.py`.

A frame is a length (4 bytes, big-endian) and a msgpack message. The first frame is special: the listening sockets travel
with it, and the worker reads it before its loop runs (`send_listeners`, `receive_start`).

Either side takes the end of the socket for the death of the other.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Sequence
from typing import Final, TypeVar

from msgspec import DecodeError
from msgspec.msgpack import Decoder, Encoder

from gateway.runtime.messages import Start, ToControl, ToWorker

MAX_FRAME_BYTES: Final = 64 * 2**20
MAX_FDS_PER_MESSAGE = 200  # the kernel takes 253

_LENGTH: Final = struct.Struct(">I")

M = TypeVar("M")


class BusError(Exception):
    """The other side sent something that is not a frame of the bus."""


class Link:
    """One asyncio end of the bus. `receive` returns messages of the type that the decoder was made for."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._encoder = Encoder()

    @classmethod
    async def open(cls, end: socket.socket) -> "Link":
        """Take over the socket."""
        reader, writer = await asyncio.open_unix_connection(sock=end)
        return cls(reader, writer)

    def send(self, message: ToWorker | ToControl) -> None:
        """Queue one message. One to a peer that is gone is dropped: `receive` reports the end of the peer."""
        if not self._writer.is_closing():
            self._writer.write(_frame(self._encoder.encode(message)))

    async def receive(self, decoder: Decoder[M]) -> M | None:
        """Return the next message, None once the peer is gone. Raise BusError for bytes that are not a frame."""
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            if length > MAX_FRAME_BYTES:
                raise BusError(f"frame of {length} bytes, at most {MAX_FRAME_BYTES} are taken")
            return decoder.decode(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        except DecodeError as error:
            raise BusError(str(error)) from error

    def close(self) -> None:
        """Send what is queued, then drop the connection; returns at once."""
        self._writer.close()

    async def finish(self) -> None:
        """Close, and wait until the queued messages have left or the peer is gone."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


def to_worker_decoder() -> Decoder[ToWorker]:
    """Return a decoder of control's messages."""
    return Decoder(ToWorker)


def to_control_decoder() -> Decoder[ToControl]:
    """Return a decoder of a worker's messages."""
    return Decoder(ToControl)


def send_listeners(end: socket.socket, listeners: Sequence[socket.socket]) -> None:
    """Hand over the listening sockets. They are the first bytes on a fresh socket, so this never blocks.

    Each message carries the number of sockets still to come, its own included.
    """
    for sent in range(0, len(listeners) or 1, MAX_FDS_PER_MESSAGE):
        batch = listeners[sent : sent + MAX_FDS_PER_MESSAGE]
        socket.send_fds(end, [_LENGTH.pack(len(listeners) - sent)], [listener.fileno() for listener in batch])


def receive_start(end: socket.socket) -> tuple[Start, list[socket.socket]] | None:
    """Block for the listening sockets and the first message. Return None where control has gone instead."""
    listeners: list[socket.socket] = []
    missing = 1
    while missing:
        data, fds, _, _ = socket.recv_fds(end, _LENGTH.size, MAX_FDS_PER_MESSAGE)
        if not data:
            return None
        for fd in fds:
            listeners.append(socket.socket(fileno=fd))
            listeners[-1].set_inheritable(False)
        missing = _LENGTH.unpack(data)[0] - len(fds)
    head = _receive_exactly(end, _LENGTH.size)
    body = _receive_exactly(end, _LENGTH.unpack(head)[0]) if head else None
    if body is None:
        return None
    return Decoder(Start).decode(body), listeners


def _receive_exactly(end: socket.socket, count: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < count:
        part = end.recv(count - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _frame(body: bytes) -> bytes:
    if len(body) > MAX_FRAME_BYTES:
        raise BusError(f"frame of {len(body)} bytes, at most {MAX_FRAME_BYTES} are sent")
    return _LENGTH.pack(len(body)) + body

"""The bus: what control and a worker say to each other, over one Unix socket per worker.

A frame is a length (4 bytes, big-endian) and a msgpack message, tagged by its type. Control asks, the worker answers
with the same `id`; the rest goes one way. The first frame is special: with it travel the listening sockets, and the
worker reads it before its loop runs (`send_start`, `receive_start`).

| control → worker | worker → control |
|---|---|
| Start | Ready, once it serves |
| Prepare | Prepared |
| Activate | Activated |
| AskMetrics | Metrics |
| AskHealth | Health |
| AskEndpoints | Endpoints |
| Drain | Drained |
| Accept, Discard, ChildState, News, Stop | LifeSign, News |

Either side takes the end of the socket for the death of the other.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Sequence
from typing import Literal, TypeVar

from msgspec import DecodeError, Struct
from msgspec.msgpack import Decoder, Encoder

MAX_FRAME_BYTES = 64 * 2**20
MOST_AT_ONCE = 200  # listeners that one message carries; the kernel takes 253

_LENGTH = struct.Struct(">I")

ChildCondition = Literal["warming", "up", "down"]


class News(Struct, frozen=True, tag="news"):
    """What one worker has learned of an endpoint, for all others: its breaker has opened, or its key was refused.

    `identity` stands for provider, model, URL and key, whatever a configuration calls them; `seconds`: how long it holds.
    """

    identity: str
    kind: Literal["opened", "key_refused"]
    seconds: float


class Start(Struct, frozen=True, tag="start"):
    """The configuration to begin with, for the worker of this `number`.

    `entries`: for each listening socket that came before, the entry of `server.listen` that it was opened for; `accept`:
    the places of those to accept on. `children`: provider → its child's condition. `drained`: as in `Drain`. `news`: what
    other workers have told, and still holds.
    """

    number: int
    generation: int
    spec: bytes
    addresses: dict[str, str]
    children: dict[str, ChildCondition]
    entries: tuple[int, ...]
    accept: tuple[int, ...]
    drained: tuple[str, ...] = ()
    news: tuple[News, ...] = ()


class Prepare(Struct, frozen=True, tag="prepare"):
    """Compile this beside what runs; nothing changes yet."""

    generation: int
    spec: bytes
    addresses: dict[str, str]
    id: int = 0


class Activate(Struct, frozen=True, tag="activate"):
    """Serve new requests from what was prepared as `generation`."""

    generation: int
    id: int = 0


class Discard(Struct, frozen=True, tag="discard"):
    """Forget what was prepared as `generation`."""

    generation: int


class AskMetrics(Struct, frozen=True, tag="ask_metrics"):
    id: int = 0


class AskHealth(Struct, frozen=True, tag="ask_health"):
    id: int = 0


class AskEndpoints(Struct, frozen=True, tag="ask_endpoints"):
    id: int = 0


class Drain(Struct, frozen=True, tag="drain"):
    """Let nothing new go to the endpoints of these names, and only to these. `forgiven`: names whose key, rest and health
    are to be taken for good again."""

    names: tuple[str, ...]
    forgiven: tuple[str, ...] = ()
    id: int = 0


class Accept(Struct, frozen=True, tag="accept"):
    """Accept on these listening sockets, given by their places, and on no others."""

    listeners: tuple[int, ...]


class ChildState(Struct, frozen=True, tag="child"):
    """The server that the gateway runs for `provider` changed its condition."""

    provider: str
    condition: ChildCondition


class Stop(Struct, frozen=True, tag="stop"):
    """Take requests for `grace_s` more, finish what runs until `deadline_s` (both from now), then end."""

    grace_s: float
    deadline_s: float


class Ready(Struct, frozen=True, tag="ready"):
    """The worker serves `generation`."""

    generation: int


class Prepared(Struct, frozen=True, tag="prepared"):
    """`problem` is empty where the configuration compiled."""

    id: int
    problem: str


class Activated(Struct, frozen=True, tag="activated"):
    id: int


class Metrics(Struct, frozen=True, tag="metrics"):
    """`snapshot` is the business of `observability.metrics`. Also sent unasked, as 0, so that a killed worker's last
    seconds are all that is lost."""

    id: int
    snapshot: bytes


class Health(Struct, frozen=True, tag="health"):
    """`circuits`: endpoint → closed, open or half_open. `out`: endpoint → what else keeps it out of rotation."""

    id: int
    circuits: dict[str, str]
    in_flight: int
    out: dict[str, str] = {}


class Mean(Struct, frozen=True):
    """A mean, and how many recent observations it rests on."""

    value: float = 0.0
    evidence: float = 0.0


class EndpointFigures(Struct, frozen=True):
    """One endpoint as one worker sees it."""

    endpoint: str
    provider: str
    model: str
    pools: tuple[str, ...]
    state: str
    retry_in_s: float
    in_flight: int
    first_token_s: Mean
    answer_s: Mean
    error_rate: Mean
    is_drained: bool
    is_healthy: bool
    key_refused: bool
    resting_s: float


class PoolFigures(Struct, frozen=True):
    """One pool as one worker sees it; `max_inflight` is this worker's part, None for any number."""

    pool: str
    in_flight: int
    waiting: int
    max_inflight: int | None


class Endpoints(Struct, frozen=True, tag="endpoints"):
    id: int
    endpoints: tuple[EndpointFigures, ...]
    pools: tuple[PoolFigures, ...]


class Drained(Struct, frozen=True, tag="drained"):
    id: int


class LifeSign(Struct, frozen=True, tag="alive"):
    """Sent every second: the worker's loop turns."""


Question = Prepare | Activate | AskMetrics | AskHealth | AskEndpoints | Drain
ToWorker = Question | Start | Accept | Discard | ChildState | News | Stop
Answer = Prepared | Activated | Metrics | Health | Endpoints | Drained
ToControl = Answer | Ready | News | LifeSign

M = TypeVar("M")


class BusError(Exception):
    """The other side sent what is no frame of ours."""


class Link:
    """One asyncio end of the bus. `receive` gives messages of the type that the decoder was made for."""

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
        """Queue one message; one to a peer that is gone is dropped, for its end is seen by `receive`."""
        if not self._writer.is_closing():
            self._writer.write(_frame(self._encoder.encode(message)))

    async def receive(self, decoder: Decoder[M]) -> M | None:
        """The next message, None once the peer is gone. Raises BusError for what is no frame."""
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
        """Close, and wait until what was queued has left or the peer is gone."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


def to_worker_decoder() -> Decoder[ToWorker]:
    """Decode what control says."""
    return Decoder(ToWorker)


def to_control_decoder() -> Decoder[ToControl]:
    """Decode what a worker says."""
    return Decoder(ToControl)


def send_listeners(end: socket.socket, listeners: Sequence[socket.socket]) -> None:
    """Hand over the listening sockets; the first bytes on a fresh socket, so this never blocks.

    Each message says how many are still to come, itself included.
    """
    for sent in range(0, len(listeners) or 1, MOST_AT_ONCE):
        batch = listeners[sent : sent + MOST_AT_ONCE]
        socket.send_fds(end, [_LENGTH.pack(len(listeners) - sent)], [listener.fileno() for listener in batch])


def receive_start(end: socket.socket) -> tuple[Start, list[socket.socket]] | None:
    """Block for the listening sockets and the first message; None where control has gone instead."""
    listeners: list[socket.socket] = []
    missing = 1
    while missing:
        data, fds, _, _ = socket.recv_fds(end, _LENGTH.size, MOST_AT_ONCE)
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

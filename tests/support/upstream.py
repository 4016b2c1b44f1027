"""A provider in the test's own loop that does byte by byte what a script says."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.core.errors import GatewayError
from gateway.providers.transport import Origin, UpstreamResponse, WireRequest
from gateway.resilience.timeouts import Timeouts

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n\r\n"


@dataclass(slots=True)
class Peer:
    """One connection, from the provider's side. `number` counts connections from 0, `requests` what has come on it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int
    requests: int = 0
    gone: asyncio.Event = field(
        default_factory=asyncio.Event
    )  # the script has ended, as it does when the gateway closes

    async def request(self) -> bytes:
        """Read one request and give its body; raises IncompleteReadError where the gateway closed."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        body = await self.reader.readexactly(int(length or 0))
        self.requests += 1
        return body

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Break off as a crash would."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def closed(self) -> None:
        """Wait until the gateway has closed."""
        while await self._receive():
            pass

    async def _receive(self) -> bytes:
        try:
            return await self.reader.read(65536)
        except ConnectionError:
            return b""


Script = Callable[[Peer], Awaitable[None]]


@dataclass(slots=True)
class Upstream:
    """Runs the script for each connection; when it returns the connection is closed in good order."""

    script: Script
    origin: Origin = field(default_factory=Origin)
    peers: list[Peer] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection; at once, so that none is forgotten."""
        peer = Peer(reader, writer, len(self.peers))
        self.peers.append(peer)
        task = asyncio.ensure_future(self._play(peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _play(self, peer: Peer) -> None:
        try:
            await self.script(peer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except Exception as error:
            self.errors.append(error)
        finally:
            peer.writer.close()
            peer.gone.set()

    async def stop(self) -> None:
        """Break off what is still going on."""
        for peer in self.peers:
            peer.writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await turns(2)


async def turns(count: int) -> None:
    """Let the loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


@asynccontextmanager
async def upstream(script: Script, *, unix: str = "") -> AsyncIterator[Upstream]:
    """Listen on the loopback, or on a Unix socket."""
    served = Upstream(script)
    if unix:
        server = await asyncio.start_unix_server(served.accept, unix)
        served.origin = Origin(unix=unix)
    else:
        server = await asyncio.start_server(served.accept, "127.0.0.1", 0)
        served.origin = Origin("127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        yield served
    finally:
        await turns(5)  # what was connected last is accepted
        server.close()
        await turns(5)
        await served.stop()
    assert served.errors == []


def call(
    origin: Origin,
    body: bytes = b"",
    *,
    timeouts: Timeouts | None = None,
    is_stream: bool = False,
    total_at: float | None = None,
) -> WireRequest:
    """Give a request of a test."""
    head = HEAD[:-2] + b"content-length: %d\r\n\r\n" % len(body)
    return WireRequest(origin, head, body, timeouts or Timeouts(), is_stream, total_at, write_timeout_s=60.0)


class CollectingSink:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.data = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.error: GatewayError | None = None

    def feed(self, data: bytes) -> None:
        assert not self.done.done(), "nothing may follow the end"
        self.data += data

    def finish(self, error: GatewayError | None) -> None:
        assert not self.done.done(), "an answer ends once"
        self.error = error
        self.done.set_result(None)


async def body_of(answer: UpstreamResponse) -> bytes:
    """Read an answer to its end. Raises what it breaks off with."""
    sink = CollectingSink()
    answer.attach(sink)
    async with asyncio.timeout(10):
        await sink.done
    if sink.error is not None:
        raise sink.error
    return sink.data


def ok(body: bytes, headers: bytes = b"") -> bytes:
    """Give a right answer."""
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n%b\r\n%b" % (len(body), headers, body)


def chunked(*parts: bytes, last: bytes = b"0\r\n\r\n") -> bytes:
    """Give a right answer in chunks."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + last

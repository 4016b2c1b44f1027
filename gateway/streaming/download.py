"""From a provider to the client, untouched: the body of an answer that the gateway does not read."""

import asyncio
from typing import Protocol

from gateway.core.errors import GatewayError
from gateway.streaming.relay import ClientWriter
from gateway.streaming.timers import AttemptTimers


class Sink(Protocol):
    """Takes a body as it arrives."""

    def feed(self, data: bytes) -> None: ...

    def finish(self, error: GatewayError | None) -> None: ...


class Source(Protocol):
    """The provider's side: an answer that is being received."""

    timers: AttemptTimers

    def attach(self, sink: Sink) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class Download:
    """One body: `pump` hands it on as it comes, and keeps a copy of it up to `keep` bytes, none where it is longer."""

    __slots__ = ("_copy", "_done", "_has_begun", "_keep", "_reply", "_source")

    def __init__(self, source: Source, keep: int = 0) -> None:
        self._source = source
        self._keep = keep
        self._copy = bytearray()
        self._has_begun = False
        self._reply: ClientWriter
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def copy(self) -> bytes:
        """What has been kept."""
        return bytes(self._copy)

    async def pump(self, reply: ClientWriter) -> None:
        """Send everything to `reply`. Raises what the answer breaks off with, or the error of the clock that ran out."""
        self._reply = reply
        self._source.attach(self)
        await self._done

    # Sink

    def feed(self, data: bytes) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._source.timers.body_started()
        if self._keep:
            self._copy += data
            if len(self._copy) > self._keep:
                self._copy.clear()
                self._keep = 0
        if not self._reply.write(data):
            self._source.timers.client_paused()
            self._source.pause()
            self._reply.on_drain = self._go_on

    def finish(self, error: GatewayError | None) -> None:
        if self._done.done():
            return
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)

    def _go_on(self) -> None:
        self._source.timers.client_resumed()
        self._source.resume()

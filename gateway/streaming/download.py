"""From the provider to the client, untouched: the body of a response that the gateway does not read."""

import asyncio
from typing import Protocol

from gateway.core.errors import GatewayError
from gateway.core.response import ClientWriter, Tap
from gateway.streaming.relay import UpstreamBody


class Sink(Protocol):
    """Takes a body as it arrives."""

    def feed(self, data: bytes) -> None: ...

    def finish(self, error: GatewayError | None) -> None: ...


class UnreadBody(UpstreamBody, Protocol):
    """A response whose body nothing reads yet."""

    def attach(self, sink: Sink) -> None: ...


class Download:
    """One body; `pump` hands it on as it comes."""

    __slots__ = ("_done", "_has_begun", "_taps", "_upstream", "_writer")

    def __init__(self, upstream: UnreadBody) -> None:
        self._upstream = upstream
        self._has_begun = False
        self._writer: ClientWriter
        self._taps: tuple[Tap, ...] = ()
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def pump(self, writer: ClientWriter, keepalive_s: float | None = None, taps: tuple[Tap, ...] = ()) -> None:
        """Send everything to `writer`. Raises the error that the body breaks off with, or that of a timeout.

        Nothing may stand between the bytes of an opaque body, so no keep-alive is sent.
        """
        self._writer, self._taps = writer, taps
        self._upstream.attach(self)
        await self._done

    def close(self) -> None:
        """Let go of the response; where it is not complete the provider's connection is closed."""
        self._upstream.close()

    # Sink

    def feed(self, data: bytes) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._upstream.timers.body_started()
        if not self._writer.write(data):
            self._upstream.timers.client_paused()
            self._upstream.pause()
            self._writer.on_drain = self._resume
        for tap in self._taps:
            tap.feed(data)

    def finish(self, error: GatewayError | None) -> None:
        if self._done.done():
            return
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)

    def _resume(self) -> None:
        self._upstream.timers.client_resumed()
        self._upstream.resume()

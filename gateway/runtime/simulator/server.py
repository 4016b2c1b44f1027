"""Play scripts to HTTP clients.

aiohttp reads requests and keeps connections in order; the answer's bytes are written past its response classes, which
would refuse to be wrong. A write waits until the client has taken the one before: nothing piles up here.
"""

import asyncio
import fcntl
import socket
import struct
import termios
from collections.abc import Iterable, Iterator
from typing import Any, Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from gateway.core.clock import Clock
from gateway.providers.simulator import BASE_NAME, behaviour_of
from gateway.runtime.simulator.answer import Answer
from gateway.runtime.simulator.ask import BadAsk, read_ask
from gateway.runtime.simulator.script import Fate, Step, Until, refusal, script
from gateway.runtime.simulator.stats import Counts, Stats

MAX_BODY_BYTES: Final = 256 * 2**20
STEPS_PER_TURN: Final = 32
LOOK_S: Final = 0.001
MAX_LOOKS: Final = 5000


class Simulator:
    """The endpoints of the scripted provider."""

    def __init__(self, clock: Clock, stats: Stats) -> None:
        self._clock = clock
        self._stats = stats

    def application(self) -> web.Application:
        """Give the application to serve; its runner must have `handler_cancellation` on."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/health", self._health)
        app.router.add_get("/stats", self._tell)
        return app

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        began = self._clock.monotonic()
        steps, both = self._begin(request, body)
        try:
            await self._play(steps, request, began, both)
        except asyncio.CancelledError:
            self._abort(both)
            raise
        except ConnectionError:
            self._abort(both)
        else:
            for counts in both:
                counts.completed += 1
        finally:
            for counts in both:
                counts.active -= 1
        return _Played()

    def _abort(self, both: Iterable[Counts]) -> None:
        now_ns = round(self._clock.monotonic() * 1e9)
        for counts in both:
            counts.aborted += 1
            counts.last_abort_ns = now_ns

    def _begin(self, request: web.Request, body: bytes) -> tuple[Iterator[Step], tuple[Counts, Counts]]:
        try:
            ask = read_ask(body)
        except BadAsk as error:
            return refusal(400, str(error), "invalid_request"), self._stats.arrive("", request.raw_headers, body)
        both = self._stats.arrive(ask.model, request.raw_headers, body)
        try:
            behaviour = behaviour_of(ask.model)
        except ValueError as error:
            return refusal(404, str(error), "model_not_found"), both
        if not behaviour.fails(both[1].requests):
            behaviour = behaviour.without_faults()
        return script(Answer(ask, behaviour, both[0].requests, int(self._clock.wall()))), both

    async def _play(
        self, steps: Iterator[Step], request: web.Request, began: float, both: tuple[Counts, Counts]
    ) -> None:
        transport = _transport(request)
        transport.set_write_buffer_limits(high=0)
        for number, step in enumerate(steps):
            if number % STEPS_PER_TURN == 0:
                await asyncio.sleep(
                    0
                )  # a stream at full speed must not starve the others, nor miss that its client left
            if isinstance(step, bytes):
                _transport(request).write(step)
                for counts in both:
                    counts.bytes += len(step)
                await request.writer.drain()
            elif isinstance(step, Until):
                await asyncio.sleep(began + step.seconds - self._clock.monotonic())
            elif step is Fate.STALL:
                await asyncio.get_running_loop().create_future()
            elif step is Fate.CLOSE:
                _transport(request).close()
            else:
                await _reset(_transport(request))

    async def _models(self, request: web.Request) -> web.Response:
        entry = {"id": BASE_NAME, "object": "model", "created": 0, "owned_by": "simulator"}
        return web.json_response({"object": "list", "data": [entry]})

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _tell(self, request: web.Request) -> web.Response:
        """All counts, or with `?model=NAME` those of one model."""
        model = request.query.get("model")
        counts = self._stats.total if model is None else self._stats.models.get(model, Counts())
        return web.json_response({name: getattr(counts, name) for name in Counts.__slots__})


class _Played(web.StreamResponse):
    """Stands for an answer that is on the wire already."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        self._keep_alive = request.keep_alive
        return None

    async def write_eof(self, data: Any = b"") -> None:
        """Nothing is left to write."""


def _transport(request: web.Request) -> asyncio.Transport:
    if request.transport is None or request.transport.is_closing():
        raise ConnectionResetError("the client has left")
    return request.transport


async def _reset(transport: asyncio.Transport) -> None:
    """Drop the connection as a crash would: over TCP with a reset instead of an orderly end.

    A reset also drops what the other side's kernel has not got yet; so that a script's bytes all arrive, they are
    waited for first.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family != socket.AF_UNIX:
        for _ in range(MAX_LOOKS):
            if not _unsent(sock.fileno()):
                break
            await asyncio.sleep(LOOK_S)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _unsent(fd: int) -> int:
    """Give how many bytes the other side has not acknowledged (SIOCOUTQ)."""
    count: int = struct.unpack("i", fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4)))[0]
    return count

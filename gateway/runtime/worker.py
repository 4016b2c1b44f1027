"""The worker process: the data plane, and nothing but requests.

Started as `python -m gateway.runtime.worker --bus FD`. It loads what it needs, waits for the listening sockets and the
first configuration, and serves until control says stop, control is gone, or SIGTERM comes; each time it finishes what
runs. Everything that is imported here delays the start of the gateway.
"""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import uvloop
from aiohttp import web

from gateway.api.app import make_runner
from gateway.core.problem import ConfigError
from gateway.core.tasks import Tasks
from gateway.observability import logging as process_log
from gateway.observability.lag import LoopLag
from gateway.runtime import build, bus
from gateway.runtime.drain import drain
from gateway.runtime.edition import decode_spec
from gateway.snapshot import Snapshot

log = logging.getLogger(__name__)

LIFE_SIGN_S = 1.0
METRICS_EVERY = 5  # life signs
CLEAN_UP_S = 1.0
FAILED = 1


def main() -> int:
    """Serve until told to stop; gives the exit code."""
    end = socket.socket(fileno=int(sys.argv[sys.argv.index("--bus") + 1]))
    received = bus.receive_start(end)
    if received is None:
        return 0
    start, listeners = received
    return uvloop.run(Worker(end, listeners).run(start))


class Worker:
    """One worker's life."""

    def __init__(self, end: socket.socket, listeners: list[socket.socket]) -> None:
        self._end = end
        self._listeners = listeners
        self._leaving = asyncio.Event()
        self._stop = bus.Stop(0.0, 0.0)
        self._exit_code = 0
        self._tasks = Tasks(on_fatal=self._fail)
        self._services = build.build_services(self._tasks)
        self._prepared: Snapshot | None = None
        self._compiler = ThreadPoolExecutor(1, "compile")

    async def run(self, start: bus.Start) -> int:
        """Serve from `start` on; gives the exit code once everything has ended."""
        link = await bus.Link.open(self._end)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._leaving.set)
        for provider, condition in start.children.items():
            self._services.child_changed(provider, condition)
        self._activate(await self._compile(start.spec, start.generation, start.addresses))

        runner = make_runner(self._services)
        await runner.setup()
        doors = [web.SockSite(runner, listener) for listener in self._listeners]
        for door in doors:
            await door.start()
        link.send(bus.Ready(start.generation))
        gc.collect()
        gc.freeze()  # what was loaded stays: no collection need look at it again
        lag = LoopLag(self._services.metrics, asyncio.get_running_loop())
        self._tasks.start(self._show_life(link), "life signs")
        self._tasks.start(self._listen(link), "bus")

        await self._leaving.wait()
        await drain(self._services, doors, self._stop.grace_s, self._stop.deadline_s)
        with contextlib.suppress(TimeoutError):  # of a client that does not read what it is told last
            async with asyncio.timeout(CLEAN_UP_S):
                await runner.cleanup()
        lag.close()
        self._services.reporter.close()
        link.send(bus.Metrics(0, self._services.metrics.snapshot()))
        await self._tasks.close()
        await link.finish()
        self._compiler.shutdown(wait=False)
        return self._exit_code

    async def _listen(self, link: bus.Link) -> None:
        """Do what control says, until it is gone."""
        decoder = bus.to_worker_decoder()
        try:
            while (message := await link.receive(decoder)) is not None:
                await self._obey(message, link)
        finally:
            self._stop = bus.Stop(0.0, self._stop.deadline_s)  # nobody is left to wait for
            self._leaving.set()

    async def _obey(self, message: bus.ToWorker, link: bus.Link) -> None:
        match message:
            case bus.Prepare():
                link.send(bus.Prepared(message.id, await self._prepare(message)))
            case bus.Activate():
                if self._prepared is not None and self._prepared.generation == message.generation:
                    self._activate(self._prepared)
                    link.send(bus.Activated(message.id))
                self._prepared = None
            case bus.Discard():
                self._prepared = None
            case bus.AskMetrics():
                link.send(bus.Metrics(message.id, self._services.metrics.snapshot()))
            case bus.AskHealth():
                link.send(bus.Health(message.id, self._services.circuits(), self._services.in_flight))
            case bus.ChildState():
                self._services.child_changed(message.provider, message.condition)
            case bus.Stop():
                self._stop = message
                self._leaving.set()
            case bus.Start():
                log.error("told to start twice")

    async def _prepare(self, message: bus.Prepare) -> str:
        """Compile beside what runs; gives what is wrong, "" for nothing."""
        compiling = self._compile(message.spec, message.generation, message.addresses)
        await asyncio.wait([compiling])
        match compiling.exception():
            case None:
                self._prepared = compiling.result()
                return ""
            case ConfigError() as error:
                return str(error)
            case error:
                log.error("configuration does not compile", exc_info=error)
                return f"{type(error).__name__} while compiling"

    def _compile(self, encoded: bytes, generation: int, addresses: dict[str, str]) -> asyncio.Future[Snapshot]:
        """Compile in the one thread kept for it."""

        def compile_now() -> Snapshot:
            return build.compile_snapshot(decode_spec(encoded), generation, addresses, self._services.directory)

        return asyncio.get_running_loop().run_in_executor(self._compiler, compile_now)

    def _activate(self, snapshot: Snapshot) -> None:
        spec = snapshot.spec
        build.activate(self._services, snapshot)
        process_log.setup(spec.log.format, spec.log.level)
        self._stop = bus.Stop(spec.server.drain.grace_s, spec.server.drain.deadline_s)

    async def _show_life(self, link: bus.Link) -> None:
        count = 0
        while True:
            await asyncio.sleep(LIFE_SIGN_S)
            link.send(bus.LifeSign())
            count += 1
            if count % METRICS_EVERY == 0:
                link.send(bus.Metrics(0, self._services.metrics.snapshot()))

    def _fail(self) -> None:
        """Something that a worker can't do without has ended: finish what runs, and be replaced."""
        self._exit_code = FAILED
        self._leaving.set()


if __name__ == "__main__":
    sys.exit(main())

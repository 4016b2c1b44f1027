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
import ssl
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import uvloop
from aiohttp import web

from gateway.api.app import make_runner
from gateway.compile import snapshot as build
from gateway.compile.certificates import context_for
from gateway.core.problem import ConfigError
from gateway.core.tasks import Tasks
from gateway.observability import logging as process_log
from gateway.observability.lag import LoopLag
from gateway.pools.health import HealthChecks
from gateway.runtime import bus
from gateway.runtime.acceptors import Acceptor, Acceptors, ConnectionFactory
from gateway.runtime.config_version import decode_spec
from gateway.runtime.descriptors import most_connections
from gateway.runtime.drain import drain
from gateway.runtime.figures import endpoint_figures, pool_figures
from gateway.runtime.lifeline import end_after
from gateway.snapshot import Snapshot

log = logging.getLogger(__name__)

LIFE_SIGN_S = 1.0
METRICS_BYTES_PER_SIGN = 20_000  # a snapshot of so many bytes goes with every life sign, a larger one with fewer
CLEAN_UP_S = 1.0
ORPHAN_MARGIN_S = 3.0  # without control, beyond the deadline of a drain: then this process ends, stuck or not
FAILED = 1
YOUNG_OBJECTS = 10_000  # between collections; requests leave no circles behind, so looking for them often finds nothing


def main() -> int:
    """Serve until told to stop; gives the exit code."""
    end = socket.socket(fileno=int(sys.argv[sys.argv.index("--bus") + 1]))
    received = bus.receive_start(end)
    if received is None:
        return 0
    start, listeners = received
    return uvloop.run(Worker(end, listeners, start.number).run(start))


class Worker:
    """One worker's life."""

    def __init__(self, end: socket.socket, listeners: list[socket.socket], number: int) -> None:
        self._end = end
        self._listeners = listeners
        self._leaving = asyncio.Event()
        self._stop = bus.Stop(0.0, 0.0)
        self._exit_code = 0
        self._tasks = Tasks(on_fatal=self._fail)
        self._services = build.build_services(self._tasks, number=number)
        self._checks = HealthChecks(
            self._services.transport,
            self._services.directory,
            self._services.rotation,
            self._tasks,
            self._services.rng,
        )
        self._prepared: Snapshot | None = None
        self._compiler = ThreadPoolExecutor(1, "compile")

    async def run(self, start: bus.Start) -> int:
        """Serve from `start` on; gives the exit code once everything has ended."""
        end_after(self._end, lambda: self._stop.deadline_s + ORPHAN_MARGIN_S)
        link = await bus.Link.open(self._end)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._leaving.set)
        for provider, condition in start.children.items():
            self._services.child_changed(provider, condition)
        rotation = self._services.rotation
        rotation.drain(start.drained)
        self._activate(await self._compile(start.spec, start.generation, start.addresses))
        for one in start.news:
            rotation.hear(one.identity, one.kind, one.seconds)
        rotation.tell = lambda identity, kind, seconds: link.send(bus.News(identity, kind, seconds))

        runner = make_runner(self._services)
        await runner.setup()
        self._acceptors = self._make_doors(runner, start.entries)
        await self._acceptors.open(start.accept)
        link.send(bus.Ready(start.generation))
        gc.collect()
        gc.freeze()  # what was loaded stays: no collection need look at it again
        gc.set_threshold(YOUNG_OBJECTS)
        self._services.lag = lag = LoopLag(self._services.metrics, asyncio.get_running_loop())
        self._tasks.start(self._show_life(link), "life signs")
        self._tasks.start(self._listen(link), "bus")

        await self._leaving.wait()
        await drain(self._services, [self._acceptors], self._stop.grace_s, self._stop.deadline_s)
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

    def _make_doors(self, runner: web.ServerRunner, entries: Sequence[int]) -> Acceptors:
        server = runner.server
        assert server is not None  # it is set up
        connections = ConnectionFactory(server, lambda: len(server._connections))
        acceptors = [Acceptor(one, self._context(entry)) for one, entry in zip(self._listeners, entries, strict=True)]
        return Acceptors(acceptors, connections, most_connections(), self._tasks)

    def _context(self, entry: int) -> ssl.SSLContext | None:
        """Give what a socket opened for this entry of `server.listen` speaks TLS with, where it does."""
        services = self._services
        listen = services.snapshot.spec.server.listen[entry]
        return context_for(listen, lambda: services.snapshot.certificates[entry])

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
            case bus.Accept():
                await self._acceptors.open(message.listeners)
            case bus.Discard():
                self._prepared = None
            case bus.AskMetrics():
                link.send(bus.Metrics(message.id, self._services.metrics.snapshot()))
            case bus.AskHealth():
                services = self._services
                link.send(bus.Health(message.id, services.circuits(), services.in_flight, {**services.rotation.out()}))
            case bus.AskEndpoints():
                endpoints, pools = endpoint_figures(self._services), pool_figures(self._services)
                link.send(bus.Endpoints(message.id, endpoints, pools))
            case bus.Drain():
                self._services.rotation.drain(message.names)
                self._services.rotation.forgive(message.forgiven)
                link.send(bus.Drained(message.id))
            case bus.News():
                self._services.rotation.hear(message.identity, message.kind, message.seconds)
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
        targets = (target for path in snapshot.plans.values() for stage in path.stages for target in stage.targets)
        self._checks.follow((target, spec.providers[target.endpoint.provider].health) for target in targets)
        process_log.setup(spec.log.format, spec.log.level)
        self._stop = bus.Stop(spec.server.drain.grace_s, spec.server.drain.deadline_s)

    async def _show_life(self, link: bus.Link) -> None:
        """Tell that the loop turns, and what was counted: should this process be killed, so much is all that is lost."""
        pause = 0
        while True:
            await asyncio.sleep(LIFE_SIGN_S)
            link.send(bus.LifeSign())
            if pause:
                pause -= 1
                continue
            snapshot = self._services.metrics.snapshot()
            link.send(bus.Metrics(0, snapshot))
            pause = len(snapshot) // METRICS_BYTES_PER_SIGN

    def _fail(self) -> None:
        """Something that a worker can't do without has ended: finish what runs, and be replaced."""
        self._exit_code = FAILED
        self._leaving.set()


if __name__ == "__main__":
    sys.exit(main())

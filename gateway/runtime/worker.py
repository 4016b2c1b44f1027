"""The worker process: the data plane, and nothing but requests.

Started as `python -m gateway.runtime.worker --bus FD`. It imports what it needs, waits for the listening sockets and the
first configuration, and serves until control sends Stop, control is gone, or SIGTERM or SIGQUIT comes; each time it finishes running
requests. Everything that is imported here delays the start of the gateway.
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
from gateway.compile.certificates import context_for
from gateway.compile.snapshot import compile_snapshot
from gateway.core.tasks import Tasks
from gateway.observability.lag import LoopLag
from gateway.observability.logging import STDERR, ProcessLog
from gateway.pools.health import HealthChecks
from gateway.runtime import bus, messages
from gateway.runtime.acceptors import Acceptor, Acceptors, ConnectionFactory, most_connections
from gateway.runtime.config_changes import ConfigChanges
from gateway.runtime.config_version import decode_spec
from gateway.runtime.drain import drain
from gateway.runtime.endpoint_status import endpoint_status, pool_status
from gateway.runtime.lifeline import end_after
from gateway.runtime.services import activate, build_services
from gateway.snapshot import Snapshot

log = logging.getLogger(__name__)

LIFE_SIGN_S = 1.0
METRICS_BYTES_PER_SIGN = 20_000  # a snapshot up to this size is sent with every life sign, a larger one with fewer
CLEAN_UP_S = 1.0
ORPHAN_MARGIN_S = 3.0  # without control, so long after the deadline of a drain this process ends, stuck or not
FAILED = 1
YOUNG_OBJECTS = 10_000  # between collections; requests leave no reference cycles, so frequent collections find nothing


def main() -> int:
    """Serve until stopped. Return the exit code."""
    end = socket.socket(fileno=int(sys.argv[sys.argv.index("--bus") + 1]))
    received = bus.receive_start(end)
    if received is None:
        return 0
    start, listeners = received
    process_log = ProcessLog()
    process_log.install()
    return uvloop.run(Worker(end, listeners, start, process_log).run())


class Worker:
    """One worker, from its start message to its end."""

    def __init__(
        self, end: socket.socket, listeners: list[socket.socket], start: messages.Start, process_log: ProcessLog
    ) -> None:
        self._end = end
        self._listeners = listeners
        self._start = start
        self._log = process_log
        self._leaving = asyncio.Event()
        self._stop = messages.Stop(0.0, 0.0)
        self._exit_code = 0
        self._tasks = Tasks(on_fatal=self._fail)
        self._services = build_services(self._tasks, number=start.number)
        self._services.metrics.on_snapshot(self._count_dropped_lines)
        self._checks = HealthChecks(
            self._services.transport,
            self._services.directory,
            self._services.rotation,
            self._tasks,
            self._services.rng,
        )
        self._compiler = ThreadPoolExecutor(1, "compile")

    async def run(self) -> int:
        """Serve, and return the exit code once everything has ended."""
        start = self._start
        end_after(self._end, lambda: self._stop.deadline_s + ORPHAN_MARGIN_S)
        link = await bus.Link.open(self._end)
        for number in (signal.SIGTERM, signal.SIGQUIT):
            asyncio.get_running_loop().add_signal_handler(number, self._leaving.set)
        for provider, condition in start.children.items():
            self._services.child_changed(provider, condition)
        rotation = self._services.rotation
        rotation.set_drained(start.drained)
        self._activate(await self._compile(start.spec, start.generation, start.addresses))
        for event in start.events:
            rotation.apply_remote(event.identity, event.kind, event.seconds)
        rotation.broadcast = lambda identity, kind, seconds: link.send(messages.EndpointEvent(identity, kind, seconds))

        runner = make_runner(self._services)
        await runner.setup()
        self._acceptors = self._make_acceptors(runner, start.entries)
        await self._acceptors.open(start.accept)
        link.send(messages.Ready(start.generation))
        gc.collect()
        gc.freeze()  # what was loaded stays: no collection need look at it again
        gc.set_threshold(YOUNG_OBJECTS)
        self._services.lag = lag = LoopLag(self._services.metrics, asyncio.get_running_loop())
        self._changes = ConfigChanges(self._compile, self._activate, link.send, start.generation)
        self._tasks.start(self._changes.run(), "configuration changes", essential=True)
        self._tasks.start(self._send_life_signs(link), "life signs")
        self._tasks.start(self._receive(link), "bus")

        await self._leaving.wait()
        await drain(self._services, [self._acceptors], self._stop.grace_s, self._stop.deadline_s)
        with contextlib.suppress(TimeoutError):  # a client may not read the last bytes
            async with asyncio.timeout(CLEAN_UP_S):
                await runner.cleanup()
        lag.close()
        self._services.offload.close()
        self._services.reporter.close()
        link.send(messages.Metrics(0, self._services.metrics.snapshot()))
        await self._tasks.close()
        await link.finish()
        self._compiler.shutdown(wait=False)
        return self._exit_code

    def _make_acceptors(self, runner: web.ServerRunner, entries: Sequence[int]) -> Acceptors:
        server = runner.server
        assert server is not None  # it is set up
        connections = ConnectionFactory(server, lambda: len(server._connections))
        acceptors = [Acceptor(one, self._context(entry)) for one, entry in zip(self._listeners, entries, strict=True)]
        return Acceptors(acceptors, connections, most_connections(), self._tasks)

    def _context(self, entry: int) -> ssl.SSLContext | None:
        """Return the TLS context of sockets opened for this entry of `server.listen`; None without TLS."""
        services = self._services
        listen = services.snapshot.spec.server.listen[entry]
        return context_for(listen, lambda: services.snapshot.certificates[entry])

    async def _receive(self, link: bus.Link) -> None:
        """Handle control's messages until control is gone."""
        decoder = bus.to_worker_decoder()
        try:
            while (message := await link.receive(decoder)) is not None:
                await self._handle_message(message, link)
        finally:
            self._stop = messages.Stop(0.0, self._stop.deadline_s)  # without control no client is sent here any more
            self._leaving.set()

    async def _handle_message(self, message: messages.ToWorker, link: bus.Link) -> None:
        services = self._services
        match message:
            case messages.Prepare() | messages.Activate() | messages.Discard():
                self._changes.handle(message)
            case messages.Accept():
                await self._acceptors.open(message.listeners)
            case messages.AskMetrics():
                link.send(messages.Metrics(message.id, services.metrics.snapshot()))
            case messages.AskHealth():
                out: dict[str, str] = {**services.rotation.reasons_out_of_rotation()}
                link.send(messages.Health(message.id, services.circuits(), services.in_flight, out))
            case messages.AskEndpoints():
                link.send(messages.Endpoints(message.id, endpoint_status(services), pool_status(services)))
            case messages.Drain():
                services.rotation.set_drained(message.names)
                services.rotation.reset(message.reset)
                link.send(messages.Drained(message.id))
            case messages.EndpointEvent():
                services.rotation.apply_remote(message.identity, message.kind, message.seconds)
            case messages.ChildState():
                services.child_changed(message.provider, message.condition)
            case messages.Stop():
                self._stop = message
                self._leaving.set()
            case messages.Start():
                log.error("second start message from control")

    def _compile(self, encoded: bytes, generation: int, addresses: dict[str, str]) -> asyncio.Future[Snapshot]:
        """Compile in the one thread kept for it."""

        def compile_now() -> Snapshot:
            directory, workers = self._services.directory, self._start.workers
            return compile_snapshot(decode_spec(encoded), generation, addresses, directory, workers)

        return asyncio.get_running_loop().run_in_executor(self._compiler, compile_now)

    def _activate(self, snapshot: Snapshot) -> None:
        spec = snapshot.spec
        activate(self._services, snapshot)
        targets = (target for path in snapshot.plans.values() for stage in path.stages for target in stage.targets)
        self._checks.track((target, spec.providers[target.endpoint.provider].health) for target in targets)
        self._log.configure(spec.log.format_on(STDERR), spec.log.level)
        self._stop = messages.Stop(spec.server.drain.grace_s, spec.server.drain.deadline_s)

    async def _send_life_signs(self, link: bus.Link) -> None:
        """Send life signs while the loop runs, and the metrics: a killed process loses only those since the last ones."""
        pause = 0
        while True:
            await asyncio.sleep(LIFE_SIGN_S)
            link.send(messages.LifeSign())
            if pause:
                pause -= 1
                continue
            snapshot = self._services.metrics.snapshot()
            link.send(messages.Metrics(0, snapshot))
            pause = len(snapshot) // METRICS_BYTES_PER_SIGN

    def _count_dropped_lines(self) -> None:
        self._services.metrics.log_lines_dropped["process"].value = self._log.dropped

    def _fail(self) -> None:
        """Handle the end of an essential task: finish running requests, then end and be replaced."""
        self._exit_code = FAILED
        self._leaving.set()


if __name__ == "__main__":
    sys.exit(main())

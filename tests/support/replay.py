"""The request path without a network: a transport that replays bytes, and everything around it as a worker has it."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from gateway import dialects
from gateway.compile.snapshot import compile_snapshot
from gateway.config.load import Loaded, load_text
from gateway.core.clock import Clock
from gateway.core.errors import GatewayError, Unavailable
from gateway.core.exchange import Exchange, RequestId, Timeline
from gateway.core.tasks import Tasks
from gateway.observability.metrics import Metrics
from gateway.observability.report import Reporter
from gateway.pools.directory import Directory
from gateway.pools.endpoint import Endpoint
from gateway.pools.managed_servers import ManagedServers
from gateway.pools.route_plan import RoutePlan
from gateway.providers import provider_kinds
from gateway.providers.transport import Transport, UpstreamResponse, WireRequest
from gateway.runtime.cpus import worker_count
from gateway.runtime.services import activate
from gateway.snapshot import Services, Snapshot

JSON = {b"content-type": b"application/json"}
SSE = {b"content-type": b"text/event-stream"}


def load_config(text: str, env: Mapping[str, str] | None = None) -> Loaded:
    """Read a configuration from its text."""
    return load_text(text.encode(), FilePath("gateway.yaml"), env=env or {}, kinds=provider_kinds())


def completion(content: str = "hello", usage: Mapping[str, int] | None = None) -> bytes:
    """Give an unstreamed answer."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    document: dict[str, Any] = {"id": "c-1", "object": "chat.completion", "choices": [choice]}
    return json.dumps(document | ({"usage": usage} if usage else {})).encode()


def chunk(content: str | None = None, *, role: bool = False, finish: str | None = None) -> bytes:
    """Give one event of a stream."""
    delta = ({"role": "assistant"} if role else {}) | ({} if content is None else {"content": content})
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: %b\n\n" % json.dumps({"id": "c-1", "choices": [choice]}).encode()


DONE = b"data: [DONE]\n\n"
ROLE = chunk("", role=True)
STREAM = (ROLE, chunk("one "), chunk("two "), chunk("three"), chunk(finish="stop"), DONE)


async def until(is_so: Callable[[], bool]) -> None:
    """Let the loop turn until something is so."""
    async with asyncio.timeout(5):
        for _ in iter(is_so, True):
            await asyncio.sleep(0)


class FakeConnection:
    """The connection under a replayed answer: notes what is done to it."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.is_aborted = False
        self.is_paused = False

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def abort(self) -> None:
        self.is_aborted = True


@dataclass
class ScriptedResponse:
    """What a provider does when it is asked: refuse with `error`, or answer `body` piece by piece, a turn of the loop each.

    `cut`: the connection breaks behind the last piece. `is_open`: nothing follows it, nor does the answer end; with no
    status it never begins. `delay_s` passes before any of it.
    """

    body: tuple[bytes, ...] = ()
    status: int = 200
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    error: GatewayError | None = None
    cut: bool = False
    is_open: bool = False
    delay_s: float = 0.0


def full_response(body: bytes, status: int = 200, **headers: str) -> ScriptedResponse:
    """Play an unstreamed answer."""
    more = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return ScriptedResponse((body,), status, {**JSON, **more})


def stream(*events: bytes, cut: bool = False, is_open: bool = False) -> ScriptedResponse:
    """Play a stream."""
    return ScriptedResponse(events or STREAM, headers=SSE, cut=cut, is_open=is_open)


NO_RESPONSE = ScriptedResponse(status=0, is_open=True)


class ReplayTransport(Transport):
    """Plays for each host what is set for it, the last play again and again; notes every call and every wire."""

    def __init__(self) -> None:
        super().__init__()
        self.plays: dict[str, list[ScriptedResponse]] = {}
        self.calls: list[WireRequest] = []
        self.wires: list[FakeConnection] = []
        self.answers: list[UpstreamResponse] = []

    @property
    def hosts(self) -> list[str]:
        """Who was asked, in order."""
        return [call.origin.host or call.origin.unix for call in self.calls]

    async def send(self, call: WireRequest) -> UpstreamResponse:
        self.calls.append(call)
        plays = self.plays[call.origin.host or call.origin.unix]
        play = plays.pop(0) if len(plays) > 1 else plays[0]
        await asyncio.sleep(play.delay_s)
        if play.error is not None:
            raise play.error
        wire = FakeConnection()
        self.wires.append(wire)
        answer = UpstreamResponse(wire, call)  # type: ignore[arg-type]
        self.answers.append(answer)
        if play.status:
            wire.loop.call_soon(_begin, answer, play)
        try:
            await answer.head
        except BaseException:
            answer.close()
            raise
        return answer


def _begin(answer: UpstreamResponse, play: ScriptedResponse) -> None:
    if not answer.head.done():
        answer.status, answer.headers = play.status, dict(play.headers)
        answer.head.set_result(None)
        answer._loop.call_soon(_feed, answer, play, 0)


def _feed(answer: UpstreamResponse, play: ScriptedResponse, index: int) -> None:
    if answer._connection is None:  # closed, as a connection feeds nobody then
        return
    if index < len(play.body):
        answer.receive(play.body[index])
        answer._loop.call_soon(_feed, answer, play, index + 1)
    elif play.cut:
        answer.end(Unavailable("the provider closed the connection in the middle of its answer"))
    elif not play.is_open:
        answer.end(None)


class RecordingReporter(Reporter):
    """Keeps what is filed."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        super().__init__(metrics, None, clock)
        self.filed: list[Exchange] = []

    def report(self, exchange: Exchange) -> None:
        self.filed.append(exchange)
        super().report(exchange)


class ReplayWorker:
    """A worker's request path over a transport that replays. Make it where a loop runs."""

    def __init__(self, text: str, clock: Clock) -> None:
        metrics = Metrics()
        self.transport = ReplayTransport()
        self.reporter = RecordingReporter(metrics, clock)
        self.services = Services(
            clock=clock,
            tasks=Tasks(),
            transport=self.transport,
            directory=Directory(clock),
            managed_servers=ManagedServers(),
            metrics=metrics,
            reporter=self.reporter,
        )
        self._clock = clock
        self._generation = 0
        self.activate(text)

    def activate(self, text: str, addresses: Mapping[str, str] | None = None) -> None:
        """Let another configuration serve."""
        self._generation += 1
        spec = load_config(text).spec
        workers = worker_count(spec.server.workers)
        snapshot = compile_snapshot(spec, self._generation, addresses or {}, self.services.directory, workers)
        activate(self.services, snapshot)

    @property
    def snapshot(self) -> Snapshot:
        return self.services.snapshot

    @property
    def endpoints(self) -> dict[str, Endpoint]:
        """The living endpoints by id."""
        return {endpoint.id: endpoint for endpoint in self.snapshot.endpoints}

    def play(self, **plays: ScriptedResponse | list[ScriptedResponse]) -> None:
        """Set what hosts do; `a` is the host `a.test`."""
        for host, one in plays.items():
            self.transport.plays[f"{host}.test"] = one if isinstance(one, list) else [one]

    def exchange(self, model: str, **fields: Any) -> Exchange:
        """Give a request for `model` that has been read."""
        body = {"model": model, "messages": [{"role": "user", "content": "Say something nice"}], **fields}
        exchange = Exchange(
            RequestId("r-1"),
            self.snapshot.generation,
            "POST",
            "/v1/chat/completions",
            {},
            Timeline(self._clock.monotonic),
        )
        exchange.request = dialects.DEFAULT.decode_request(json.dumps(body).encode())
        return exchange

    def path(self, exchange: Exchange) -> RoutePlan:
        """Give where a request goes."""
        assert exchange.request is not None
        match = self.snapshot.router.match(exchange.request, exchange.headers, exchange.principal, self._clock.wall())
        plan = self.snapshot.plans[match]
        exchange.decision = plan.decision
        return plan


class Reply:
    """A client of a stream that takes everything."""

    def __init__(self) -> None:
        self.written = b""
        self.on_drain: Any = None

    def write(self, data: bytes) -> bool:
        self.written += data
        return True

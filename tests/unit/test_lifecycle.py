"""One line from arrival to account, with a double for the client's side."""

import asyncio
from collections.abc import Callable

import pytest

from gateway.api.kinds import MODEL_REQUEST
from gateway.core.chat import ChatRequest
from gateway.core.errors import (
    CallerError,
    GatewayError,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    ShuttingDown,
    StreamInterrupted,
    Unauthenticated,
    Unavailable,
)
from gateway.core.exchange import Exchange
from gateway.core.response import Response
from gateway.lifecycle import serve
from gateway.pools.route_plan import RoutePlan
from tests.support.clock import FakeClock
from tests.support.replay import (
    DONE,
    ReplayWorker,
    Reply,
    ScriptedResponse,
    chunk,
    completion,
    full_response,
    stream,
    until,
)

KEY = "a-client-key"
KEY_HASH = "b45e10ec0c52e8e4c7a2ff0bf3dbf5a8dc7e4a2dbe0b9e7c6a5d5e0f0c0b0a09"
TEXT = """
version: 1
providers:
  a: {kind: openai, url: "http://a.test/v1"}
models:
  m-a: {provider: a, price: {input: 1, output: 2, cached_input: 0.5}, quality: 0.5}
routes:
  - {name: all, match: [auto], to: m-a}
"""
REFUSED = ScriptedResponse(error=Unavailable("no connection to the provider (refused)", code="upstream_connect"))


class FakeClient:
    """Hands over one request, and notes what it is given; behaves as `lifecycle.Client` says."""

    def __init__(self, exchange: Exchange, clock: FakeClock, request: ChatRequest | CallerError) -> None:
        self._exchange = exchange
        self._clock = clock
        self._request = request
        self.reply = Reply()
        self.steps: list[str] = []
        self.sent: list[tuple[bytes, int]] = []
        self.failed: list[GatewayError] = []
        self.on_send: Callable[[], None] = lambda: None

    async def read(self) -> ChatRequest:
        self.steps.append("read")
        await asyncio.sleep(0)
        if isinstance(self._request, CallerError):
            raise self._request
        return self._request

    def keep_alive(self, plan: RoutePlan) -> None:
        self.steps.append("expect")

    def send(self, response: Response) -> None:
        assert response.body is not None
        self.steps.append("send")
        self._exchange.timeline.commit()
        self._exchange.status = 200
        self.sent.append((response.body, self._exchange.cost_picodollars))
        self.on_send()

    async def relay(self, response: Response) -> None:
        self.steps.append("relay")
        self._exchange.timeline.commit()
        self._exchange.status = 200
        assert response.source is not None
        await response.source.pump(self.reply, response.keepalive_s, response.taps)

    def fail(self, error: GatewayError) -> None:
        self.steps.append("fail")
        self._exchange.status = self._exchange.status or error.http_status
        self.failed.append(error)


@pytest.fixture
async def line(clock: FakeClock) -> ReplayWorker:
    return ReplayWorker(TEXT, clock)


def begin(line: ReplayWorker, clock: FakeClock, model: str = "auto", **fields: object) -> tuple[Exchange, FakeClient]:
    """Give a request that has arrived and was not read."""
    exchange = line.exchange(model, **fields)
    request, exchange.request = exchange.request, None
    assert request is not None
    return exchange, FakeClient(exchange, clock, request)


async def run(line: ReplayWorker, exchange: Exchange, client: FakeClient) -> None:
    await serve(exchange, line.snapshot, line.services, MODEL_REQUEST, client)


async def test_an_unstreamed_answer_is_sent_whole_with_its_cost(line: ReplayWorker, clock: FakeClock) -> None:
    body = completion(usage={"prompt_tokens": 10, "completion_tokens": 5})
    line.play(a=full_response(body))
    exchange, client = begin(line, clock)
    await run(line, exchange, client)
    assert client.steps == ["read", "expect", "send"]
    assert client.sent == [(body, 10 * 1_000_000 + 5 * 2_000_000)]
    assert (exchange.outcome, exchange.status, exchange.error, exchange.decision.route) == ("ok", 200, None, "all")
    assert line.reporter.filed == [exchange]


async def test_a_stream_is_relayed_and_then_priced(line: ReplayWorker, clock: FakeClock) -> None:
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":7}}\n\n'
    line.play(a=stream(chunk("one "), chunk(finish="stop"), usage, DONE))
    exchange, client = begin(line, clock, stream=True)
    await run(line, exchange, client)
    assert client.steps == ["read", "expect", "relay"]
    assert client.reply.written.endswith(DONE)
    assert b"usage" not in client.reply.written  # the client did not ask for it
    assert exchange.cost_picodollars == 100 * 1_000_000 + 7 * 2_000_000
    assert exchange.usage is not None
    assert not exchange.usage.is_estimated


async def test_a_stream_that_is_cut_is_charged_for_what_was_seen(line: ReplayWorker, clock: FakeClock) -> None:
    line.play(a=stream(chunk("one "), chunk("two "), cut=True))
    exchange, client = begin(line, clock, stream=True)
    await run(line, exchange, client)
    (error,) = client.failed
    assert isinstance(error, StreamInterrupted)
    assert (exchange.outcome, exchange.error) == ("failed", error)
    assert exchange.request is not None
    assert exchange.usage is not None
    assert (exchange.usage.input, exchange.usage.output) == (exchange.request.tokens, 2)
    assert exchange.usage.is_estimated
    assert exchange.cost_picodollars == exchange.request.tokens * 1_000_000 + 2 * 2_000_000


async def test_a_stream_whose_client_leaves_is_charged_for_what_was_seen(line: ReplayWorker, clock: FakeClock) -> None:
    line.play(a=stream(chunk("one "), chunk("two "), is_open=True))
    exchange, client = begin(line, clock, stream=True)
    task = asyncio.ensure_future(run(line, exchange, client))
    await until(lambda: b"two" in client.reply.written)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (exchange.outcome, exchange.status) == ("abandoned", 200)
    assert exchange.cost_picodollars > 2 * 2_000_000
    assert client.failed == []
    assert line.reporter.filed == [exchange]


async def test_an_answer_that_never_began_costs_nothing(line: ReplayWorker, clock: FakeClock) -> None:
    line.play(a=REFUSED)
    exchange, client = begin(line, clock)
    await run(line, exchange, client)
    assert [error.error_code for error in client.failed] == ["upstream_connect"]
    assert (exchange.outcome, exchange.status, exchange.cost_picodollars) == ("failed", 502, 0)
    assert line.reporter.filed == [exchange]


async def test_who_asks_is_known_before_the_body_is_read(clock: FakeClock) -> None:
    line = ReplayWorker(TEXT + f'tenants: {{acme: {{keys: ["sha256:{KEY_HASH}"]}}}}\n', clock)
    exchange, client = begin(line, clock)
    await run(line, exchange, client)
    assert client.steps == ["fail"]
    assert isinstance(client.failed[0], Unauthenticated)
    assert line.reporter.filed == [exchange]


@pytest.mark.parametrize(
    ("prepare", "kind"),
    [
        (lambda line: line.services.refuse_new(), ShuttingDown),
        (lambda line: line.services.running.update({object(): None, object(): None}), Overloaded),
    ],
    ids=["shutting down", "full"],
)
async def test_no_body_is_read_where_no_request_can_be_taken(
    clock: FakeClock, prepare: Callable[[ReplayWorker], None], kind: type[GatewayError]
) -> None:
    line = ReplayWorker(TEXT + "server: {limits: {in_flight: 1}}\n", clock)
    prepare(line)
    exchange, client = begin(line, clock)
    await run(line, exchange, client)
    assert client.steps == ["fail"]
    assert isinstance(client.failed[0], kind)
    assert client.failed[0].retry_after_s == 1.0


async def test_a_body_at_fault_asks_nobody(line: ReplayWorker, clock: FakeClock) -> None:
    exchange = line.exchange("auto")
    exchange.request = None
    client = FakeClient(exchange, clock, InvalidRequest("messages is missing", param="messages"))
    await run(line, exchange, client)
    assert [error.param for error in client.failed] == ["messages"]
    assert line.transport.calls == []


async def test_an_unknown_model_asks_nobody(line: ReplayWorker, clock: FakeClock) -> None:
    exchange, client = begin(line, clock, "autoo")
    await run(line, exchange, client)
    assert isinstance(client.failed[0], ModelNotFound)
    assert line.transport.calls == []


@pytest.mark.parametrize("steps", range(16))
async def test_a_client_that_leaves_is_told_nothing_and_filed_once(
    line: ReplayWorker, clock: FakeClock, steps: int
) -> None:
    line.play(a=stream(chunk("one "), chunk("two "), is_open=True))
    exchange, client = begin(line, clock, stream=True)
    task = asyncio.ensure_future(run(line, exchange, client))
    for _ in range(steps + 1):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert exchange.outcome == "abandoned"
    assert exchange.status == (200 if exchange.timeline.committed_at else 499)
    assert client.failed == []
    assert line.reporter.filed == [exchange]
    assert [endpoint.in_flight for endpoint in line.endpoints.values()] == [0]
    assert all(wire.is_aborted for wire in line.transport.wires)


@pytest.mark.parametrize("steps", range(16))
async def test_a_request_that_the_gateway_cuts_is_told_so(line: ReplayWorker, clock: FakeClock, steps: int) -> None:
    line.play(a=stream(chunk("one "), chunk("two "), is_open=True))
    exchange, client = begin(line, clock, stream=True)
    task = asyncio.ensure_future(run(line, exchange, client))
    line.services.running[exchange] = task
    for _ in range(steps + 1):
        await asyncio.sleep(0)
    line.services.cut_running()
    await task
    assert [error.error_code for error in client.failed] == ["shutting_down"]
    assert (exchange.outcome, exchange.error) == ("failed", exchange.cut)
    assert line.reporter.filed == [exchange]
    assert all(wire.is_aborted for wire in line.transport.wires)


async def test_a_mistake_of_our_own_is_filed_as_500_and_left_to_the_edge(line: ReplayWorker, clock: FakeClock) -> None:
    line.play(a=full_response(completion()))
    exchange, client = begin(line, clock)

    def break_down(*_: object) -> None:
        raise ZeroDivisionError

    client.keep_alive = break_down  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        await run(line, exchange, client)
    assert (exchange.outcome, exchange.status) == ("failed", 500)
    assert line.reporter.filed == [exchange]


async def test_a_request_ends_on_the_snapshot_that_it_began_with(line: ReplayWorker, clock: FakeClock) -> None:
    line.play(a=stream(chunk("one "), is_open=True))
    exchange, client = begin(line, clock, stream=True)
    task = asyncio.ensure_future(run(line, exchange, client))
    await until(lambda: bool(client.reply.written))
    before = line.endpoints["a/m-a"]
    line.activate(TEXT.replace("output: 2,", "output: 9,"))
    assert line.endpoints["a/m-a"] is before
    assert before.in_flight == 1
    line.transport.answers[0].receive(chunk("two ") + chunk(finish="stop") + DONE)
    line.transport.answers[0].end(None)
    await task
    assert exchange.generation == 1
    assert exchange.request is not None and exchange.usage is not None
    assert exchange.cost_picodollars == exchange.request.tokens * 1_000_000 + exchange.usage.output * 2_000_000
    assert exchange.usage.output and exchange.usage.is_estimated
    assert before.in_flight == 0

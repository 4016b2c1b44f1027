"""Calls for embeddings down the whole line, over a provider that answers them by what they ask."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.api.kinds import MODEL_REQUEST
from gateway.core.chat import ChatRequest
from gateway.core.errors import GatewayError
from gateway.core.exchange import ANYBODY, Exchange, RequestId, Timeline
from gateway.core.problem import ConfigError
from gateway.core.response import Response
from gateway.lifecycle import serve
from gateway.pools.route_plan import RoutePlan
from gateway.resilience.breaker import BreakerState
from tests.support.clock import FakeClock
from tests.support.embeddings import BAD_INPUT, EmbeddingTransport, request, tokens, vector
from tests.support.loops import in_virtual_time
from tests.support.replay import ReplayWorker, full_response, load_config

TEXT = """
version: 1
providers:
  a: {kind: openai, url: "http://a.test/v1", batch: {max: 8}}
  chats: {kind: anthropic, url: "http://c.test"}
models:
  e: {provider: a, id: embed-1, price: {input: 3, output: 0}}
  lone: {provider: a, price: {input: 3, output: 0}, batch: none}
  slow: {provider: a, price: {input: 3, output: 0}, batch: {max: 2, wait: 1s}}
  fam-*: {provider: a, price: {input: 3, output: 0}}
  claude: {provider: chats, price: {input: 1, output: 2}}
  opus: {provider: chats, price: {input: 1, output: 2}}
pools:
  mixed: {members: [claude, e]}
defaults: {retry: none, breaker: {failures: 2}}
routes:
  - {name: mixed, match: [mixed], to: mixed}
  - {name: direct, match: [e, lone, slow, "fam-*", opus], to: requested}
"""


class Client:
    """Hands over one request, and keeps what it is given."""

    def __init__(self, exchange: Exchange, asked: ChatRequest) -> None:
        self._exchange = exchange
        self._asked = asked
        self.body: dict[str, Any] = {}
        self.raw = b""
        self.error: GatewayError | None = None

    async def read(self) -> ChatRequest:
        return self._asked

    def keep_alive(self, path: RoutePlan) -> None:
        pass

    def send(self, response: Response) -> None:
        assert response.body is not None
        self._exchange.status = 200
        self.raw, self.body = response.body, json.loads(response.body)

    def fail(self, error: GatewayError) -> None:
        self._exchange.status, self.error = error.http_status, error

    @property
    def vectors(self) -> list[Any]:
        return [item["embedding"] for item in self.body["data"]]


class Gateway:
    """A line with the provider behind it."""

    def __init__(self, text: str = TEXT, takes_s: float = 0.05) -> None:
        clock = FakeClock()
        self._clock = clock
        self.line = ReplayWorker(text, clock)
        self.provider = EmbeddingTransport(takes_s)
        self.line.services.transport = self.line.transport = self.provider
        self.exchanges: list[Exchange] = []

    async def ask(
        self, given: Any, model: str = "e", *, tenant: str = "", headers: dict[str, str] | None = None, **fields: Any
    ) -> Client:
        number = len(self.exchanges) + 1
        timeline = Timeline(self._clock.monotonic)
        exchange = Exchange(RequestId(f"r-{number}"), 1, "POST", "/v1/embeddings", headers or {}, timeline)
        self.exchanges.append(exchange)
        client = Client(exchange, request(given, model, **fields))
        snapshot = self.line.snapshot
        if tenant:
            principal = replace(ANYBODY, tenant=tenant)
            snapshot = replace(snapshot, auth=_Always(principal))  # type: ignore[arg-type]
        await serve(exchange, snapshot, self.line.services, MODEL_REQUEST, client)
        return client

    @property
    def heads(self) -> list[str]:
        return [call.head.decode() for call in self.provider.calls]


class _Always:
    def __init__(self, principal: Any) -> None:
        self._principal = principal

    def identify(self, headers: Any) -> Any:
        return self._principal


@in_virtual_time
async def test_a_call_is_answered_counted_and_charged() -> None:
    gateway = Gateway()
    client = await gateway.ask(["one two", "three"], "lone")
    assert client.vectors == [vector("one two"), vector("three")]
    (exchange,) = gateway.exchanges
    assert (
        exchange.outcome,
        exchange.status,
        exchange.decision.route,
        exchange.pool,
        exchange.model,
        exchange.provider,
    ) == (
        "ok",
        200,
        "direct",
        "lone",
        "lone",
        "a",
    )
    assert exchange.usage is not None and not exchange.usage.is_estimated
    assert exchange.cost_picodollars == 5 * 3_000_000
    assert gateway.heads[0].startswith("POST /v1/embeddings HTTP/1.1\r\nhost: a.test\r\n")


@in_virtual_time
async def test_without_a_batch_every_call_goes_alone_at_once() -> None:
    gateway = Gateway()
    await asyncio.gather(*(gateway.ask("a", "lone") for _ in range(5)))
    assert gateway.provider.sizes == [1] * 5


@in_virtual_time
async def test_calls_at_the_same_time_are_one_and_each_has_its_own() -> None:
    gateway = Gateway()
    given = ["one", ["two", "three three"], "four"]
    clients = await asyncio.gather(*map(gateway.ask, given))
    assert gateway.provider.sizes == [4]
    assert gateway.provider.bodies[0]["model"] == "embed-1"
    assert [client.vectors for client in clients] == [
        [vector("one")],
        [vector("two"), vector("three three")],
        [vector("four")],
    ]
    usages = [exchange.usage for exchange in gateway.exchanges]
    assert sum(usage.input for usage in usages if usage) == sum(map(tokens, gateway.provider.bodies[0]["input"]))
    assert all(usage and usage.is_estimated for usage in usages)
    assert [client.body["usage"]["prompt_tokens"] for client in clients] == [usage.input for usage in usages if usage]
    assert sum(exchange.cost_picodollars for exchange in gateway.exchanges) == 9 * 3_000_000
    assert [len(exchange.attempts) for exchange in gateway.exchanges] == [1, 1, 1]
    assert [exchange.meter.bytes_out for exchange in gateway.exchanges] == [len(client.raw) for client in clients]
    metrics = gateway.line.services.metrics
    assert (metrics.batches["mixed"].value, metrics.batched_requests["mixed"].value) == (1, 3)
    (endpoint,) = (one for one in gateway.line.endpoints.values() if one.model == "e")
    assert (endpoint.in_flight, endpoint.load.in_flight) == (0, 0)


@in_virtual_time
async def test_who_waits_in_vain_for_others_gets_the_bytes_as_they_came() -> None:
    gateway = Gateway()
    body = b'{ "data":[ {"embedding":[0.10],"index":0 }],"usage":{"prompt_tokens":7}}'
    gateway.provider.play = lambda inputs: full_response(body)
    client = await gateway.ask("one")
    assert client.raw == body
    usage = gateway.exchanges[0].usage
    assert usage is not None and (usage.input, usage.is_estimated) == (7, False)


@in_virtual_time
async def test_a_call_as_large_as_a_batch_goes_alone_and_at_once() -> None:
    gateway = Gateway()
    loop = asyncio.get_running_loop()
    since = loop.time()
    await asyncio.gather(gateway.ask(["a", "b"], "slow"), gateway.ask(["c", "d", "e"], "slow"))
    assert gateway.provider.sizes == [2, 3]
    assert loop.time() - since < 0.1


@in_virtual_time
async def test_an_idempotency_key_is_of_one_request() -> None:
    gateway = Gateway()
    await asyncio.gather(gateway.ask("a", headers={"idempotency-key": "k"}), gateway.ask("b"), gateway.ask("c"))
    assert sorted(gateway.provider.sizes) == [1, 2]
    assert "idempotency-key: k\r\n" in gateway.heads[gateway.provider.sizes.index(1)]


@in_virtual_time
async def test_together_go_calls_of_one_tenant_that_ask_the_same() -> None:
    gateway = Gateway()
    await asyncio.gather(
        gateway.ask("a"),
        gateway.ask("b", tenant="acme"),
        gateway.ask("c", tenant="acme"),
        gateway.ask("d", user="u"),
        gateway.ask("e", dimensions=2),
        gateway.ask([1, 2]),
        gateway.ask("f", headers={"openai-beta": "exchange"}),
        gateway.ask("g", headers={"traceparent": "00-1-2-3"}),
        gateway.ask("h", "fam-1"),
        gateway.ask("i", "fam-2"),
    )
    together = sorted(
        "".join(map(str, sorted(body["input"], key=str))) for body in gateway.provider.bodies if body["input"] != [1, 2]
    )
    assert together == ["ag", "bc", "d", "e", "f", "h", "i"]


@in_virtual_time
async def test_a_call_of_several_bears_the_first_ones_id_and_nobodys_trace() -> None:
    gateway = Gateway()
    trace = {"traceparent": "00-1-2-3"}
    await asyncio.gather(*(gateway.ask(name, headers=trace) for name in "abc"))
    await gateway.ask("d", headers=trace)
    assert "x-request-id: r-1+2\r\n" in gateway.heads[0] and "traceparent" not in gateway.heads[0]
    assert "x-request-id: r-4\r\n" in gateway.heads[1] and "traceparent: 00-1-2-3\r\n" in gateway.heads[1]
    length = int(gateway.heads[0].partition("content-length: ")[2].partition("\r\n")[0])
    assert length == len(gateway.provider.calls[0].body)


@in_virtual_time
async def test_a_bad_input_is_its_own_callers_and_nobody_elses() -> None:
    gateway = Gateway()
    clients = await asyncio.gather(*(gateway.ask(one) for one in ("a", BAD_INPUT, "c")))
    assert [client.error and client.error.http_status for client in clients] == [None, 400, None]
    assert [exchange.outcome for exchange in gateway.exchanges] == ["ok", "failed", "ok"]
    assert [client.vectors for client in clients if not client.error] == [[vector("a")], [vector("c")]]


@in_virtual_time
async def test_a_breaker_counts_one_failure_for_each_call() -> None:
    gateway = Gateway()
    gateway.provider.play = lambda inputs: full_response(b"{}", 503)
    (endpoint,) = (one for one in gateway.line.endpoints.values() if one.model == "e")
    clients = await asyncio.gather(*(gateway.ask("a") for _ in range(5)))
    assert [client.error and client.error.http_status for client in clients] == [503] * 5
    assert (len(gateway.provider.calls), endpoint.breaker.state) == (1, BreakerState.CLOSED)
    await asyncio.gather(*(gateway.ask("a") for _ in range(5)))
    assert (len(gateway.provider.calls), endpoint.breaker.state) == (2, BreakerState.OPEN)
    assert endpoint.in_flight == 0


@in_virtual_time
async def test_an_answer_that_can_not_be_taken_apart_fails_them_all() -> None:
    gateway = Gateway()
    gateway.provider.play = lambda inputs: full_response(b'{"data":[{"index":0,"embedding":[1]}]}')
    clients = await asyncio.gather(gateway.ask("a"), gateway.ask("b"))
    assert [client.error and client.error.error_code for client in clients] == ["upstream_protocol_error"] * 2


@in_virtual_time
async def test_failures_are_retried_together() -> None:
    gateway = Gateway(TEXT.replace("retry: none, ", "retry: {attempts: 2, backoff: 1ms, backoff_cap: 2ms}, "))
    plays = [full_response(b"{}", 503)]
    gateway.provider.play = lambda inputs: plays.pop() if plays else None
    clients = await asyncio.gather(*(gateway.ask(name) for name in "abc"))
    assert [client.vectors for client in clients] == [[vector(name)] for name in "abc"]
    assert gateway.provider.sizes == [3, 3]
    assert [len(exchange.attempts) for exchange in gateway.exchanges] == [2, 2, 2]


@in_virtual_time
async def test_with_the_last_client_the_call_is_cancelled() -> None:
    gateway = Gateway()
    asking = [asyncio.ensure_future(gateway.ask(name)) for name in "ab"]
    await asyncio.sleep(0.03)
    for one in asking:
        one.cancel()
    await asyncio.wait(asking)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert gateway.provider.cancelled == 1
    assert [exchange.outcome for exchange in gateway.exchanges] == ["abandoned"] * 2
    assert all(one.in_flight == 0 for one in gateway.line.endpoints.values())


@in_virtual_time
async def test_a_member_that_has_no_embeddings_is_passed_over() -> None:
    gateway = Gateway()
    client = await gateway.ask("a", "mixed")
    assert client.vectors == [vector("a")]
    assert [exchange.model for exchange in gateway.exchanges] == ["e"]


@in_virtual_time
async def test_where_nobody_has_embeddings_the_request_is_refused_in_words() -> None:
    gateway = Gateway()
    client = await gateway.ask("a", "opus")
    error = client.error
    assert error is not None and (error.http_status, error.error_code) == (400, "unsupported_endpoint")
    assert gateway.provider.calls == []


@pytest.mark.parametrize("setting", ["batch: {max: 1}", "batch: {max: 257}", "batch: {wait: 0s}", "batch: 3"])
def test_a_batch_is_of_2_to_256_and_waits(setting: str) -> None:
    with pytest.raises(ConfigError, match="batch"):
        load_config(TEXT.replace("batch: none", setting))

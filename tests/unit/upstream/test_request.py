"""What is sent to an endpoint, and what of its answer is believed."""

import asyncio

import pytest

from gateway.core.errors import GatewayError, ProtocolError, Rejected, Unavailable
from gateway.core.exchange import Exchange
from gateway.upstream.request import FAULT_LIMIT, UpstreamRequest
from tests.support.clock import FakeClock
from tests.support.replay import JSON, ReplayWorker, ScriptedResponse, completion, full_response

TEXT = """
version: 1
providers:
  a: {kind: openai, url: "http://a.test/v1", key: k-1}
models:
  m: {provider: a, id: other, price: {input: 1, output: 2}}
routes:
  - {name: all, match: [m], to: requested}
"""


def caller(line: ReplayWorker, exchange: Exchange | None = None) -> UpstreamRequest:
    exchange = exchange or line.exchange("m")
    return UpstreamRequest(
        exchange, line.path(exchange).stages[0].targets[0], line.snapshot.spec.server.limits, line.services
    )


@pytest.fixture
async def line(clock: FakeClock) -> ReplayWorker:
    line = ReplayWorker(TEXT, clock)
    line.play(a=full_response(completion()))
    return line


async def test_a_body_is_sent_behind_its_length_and_the_headers_of_its_own(line: ReplayWorker) -> None:
    calling, total_at = caller(line), asyncio.get_running_loop().time() + 60
    answer = await calling.begin(b"{}", "x-own: 1\r\n", total_at, is_stream=False)
    assert await calling.read(answer) == completion()
    (call,) = line.transport.calls
    head = call.head.decode()
    assert head.startswith("POST /v1/chat/completions HTTP/1.1\r\nhost: a.test\r\n")
    assert "authorization: Bearer k-1\r\n" in head
    assert head.endswith("\r\ncontent-length: 2\r\nx-own: 1\r\n\r\n")
    assert (call.body, call.total_at, call.is_stream) == (b"{}", total_at, False)


async def test_the_body_names_the_model_as_the_provider_does(line: ReplayWorker) -> None:
    exchange = line.exchange("m")
    assert exchange.request is not None
    assert b'"model":"other"' in caller(line, exchange).body(exchange.request)


async def test_a_trace_is_of_the_request_and_what_is_handed_on_of_what_it_asks(line: ReplayWorker) -> None:
    exchange = line.exchange("m")
    exchange.headers = {
        "traceparent": "00-1-2-3",
        "tracestate": "a=b",
        "openai-beta": "b",
        "cookie": "c=1",
        "authorization": "Bearer own",
        "via": "1.1 llm-gateway",
    }
    calling = caller(line, exchange)
    assert calling.client_lines() == "openai-beta: b\r\nvia: 1.1 llm-gateway\r\n"
    own = "x-request-id: r-1\r\ntraceparent: 00-1-2-3\r\ntracestate: a=b\r\n"
    assert calling.head() == own + calling.client_lines()


@pytest.mark.parametrize(
    ("play", "kind"),
    [
        (full_response(b'{"error":{}}', 400), Rejected),
        (full_response(b"{}", 503), Unavailable),
        (ScriptedResponse((b"",), 204), ProtocolError),
        (ScriptedResponse((b"{}",), headers={**JSON, b"content-encoding": b"gzip"}), ProtocolError),
        (ScriptedResponse((b"x" * (FAULT_LIMIT + 1),), 500), Unavailable),
        (ScriptedResponse((b"x",), 502, cut=True), Unavailable),
    ],
)
async def test_what_is_no_answer_is_an_error_and_leaves_nothing_open(
    line: ReplayWorker, play: ScriptedResponse, kind: type[GatewayError]
) -> None:
    line.play(a=play)
    with pytest.raises(kind) as caught:
        await caller(line).begin(b"{}", "", None, is_stream=False)
    assert type(caught.value) is kind
    assert all(answer._connection is None for answer in line.transport.answers)


async def test_a_providers_refusal_keeps_its_words(line: ReplayWorker) -> None:
    line.play(a=full_response(b'{"error":{"message":"no"}}', 422))
    with pytest.raises(Rejected) as caught:
        await caller(line).begin(b"{}", "", None, is_stream=False)
    assert (caught.value.body, caught.value.http_status) == (b'{"error":{"message":"no"}}', 422)

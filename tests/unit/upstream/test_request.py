"""What is sent to an endpoint, and what of its answer is believed."""

import asyncio
import json

import pytest

from gateway.core.errors import (
    ContextTooLong,
    CredentialRefused,
    GatewayError,
    HiddenError,
    ProtocolError,
    QuotaUsedUp,
    Rejected,
    Unavailable,
    UpstreamError,
    UpstreamRateLimited,
)
from gateway.core.exchange import Exchange
from gateway.upstream.request import FAULT_LIMIT, UpstreamRequest
from tests.support.clock import FakeClock
from tests.support.replay import JSON, ROLE, ReplayWorker, ScriptedResponse, completion, full_response, stream

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


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"message": "This model's maximum context length is 8 tokens", "code": 400}, ContextTooLong, 400),
        ({"message": "too long", "code": "context_length_exceeded"}, ContextTooLong, 400),
        ({"message": "This model's maximum context length is 8 tokens"}, ContextTooLong, 400),
        ({"message": "slow down", "type": "rate_limit_error"}, UpstreamRateLimited, 429),
        ({"message": "slow down", "code": 429}, UpstreamRateLimited, 429),
        ({"message": "pay", "code": "insufficient_quota"}, QuotaUsedUp, 429),
        ({"message": "Insufficient balance"}, QuotaUsedUp, 429),
        ({"message": "bad key", "type": "authentication_error"}, CredentialRefused, 502),
        ({"message": "bad tool", "type": "BadRequestError", "code": 400}, Rejected, 400),
        ({"message": "GPU out of memory", "type": "InternalServerError", "code": 500}, HiddenError, 502),
        ({"message": "GPU out of memory"}, HiddenError, 502),
    ],
)
async def test_an_error_before_the_content_is_classified_like_one_with_a_status(
    line: ReplayWorker, error: dict[str, object], kind: type[UpstreamError], status: int
) -> None:
    line.play(a=stream(ROLE, b"data: %b\n\n" % json.dumps({"error": error}).encode()))
    exchange = line.exchange("m", stream=True)
    assert exchange.request is not None
    with pytest.raises(kind) as caught:
        await caller(line, exchange).send(exchange.request, None)
    found = caught.value
    assert type(found) is kind and found.http_status == status
    assert found.hurts_breaker is (kind is HiddenError)
    if isinstance(found, Rejected):
        assert json.loads(found.body)["error"]["message"] == error["message"]
    if kind is HiddenError:
        assert "GPU out of memory" in found.message


async def test_the_words_of_an_error_in_a_stream_hold_no_key(clock: FakeClock) -> None:
    line = ReplayWorker(TEXT.replace("k-1", "sk-long-secret-key"), clock)
    line.play(a=stream(ROLE, b'data: {"error":{"message":"the key sk-long-secret-key is odd"}}\n\n'))
    exchange = line.exchange("m", stream=True)
    assert exchange.request is not None
    with pytest.raises(HiddenError) as caught:
        await caller(line, exchange).send(exchange.request, None)
    assert b"secret" not in caught.value.body and "secret" not in caught.value.message

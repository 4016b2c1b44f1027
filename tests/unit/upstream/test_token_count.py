"""Counts of tokens: by who would answer, else by the gateway itself."""

import json

import pytest

from gateway.core.errors import CredentialRefused, NoCapacity, Rejected
from gateway.core.exchange import Exchange, RequestId, Timeline
from gateway.core.response import Response
from gateway.core.usage import Usage
from gateway.dialects.anthropic_messages import token_count as anthropic_token_count
from gateway.pools.route_plan import RoutePlan
from gateway.upstream.token_count import count_tokens
from tests.support.clock import FakeClock
from tests.support.replay import ReplayWorker, ScriptedResponse, full_response

BODY = {"model": "auto", "messages": [{"role": "user", "content": "How many tokens would that be?"}]}
TEXT = """
version: 1
providers:
  a: {{kind: anthropic, url: "http://a.test"}}
  b: {{kind: openai, url: "http://b.test/v1"}}
models:
  m-a: {{provider: a, price: {{input: 1, output: 2}}, quality: 0.5}}
  m-b: {{provider: b, price: {{input: 1, output: 2}}, quality: 0.5}}
defaults: {{timeout: {{answer: 50ms}}}}
pools:
  main: {{members: [{members}], retry: none{then}}}
routes:
  - {{name: all, match: [auto], to: main}}
"""
COUNT = full_response(b'{"input_tokens": 41}')


def line_of(clock: FakeClock, members: str, then: str = "") -> ReplayWorker:
    return ReplayWorker(TEXT.format(members=members, then=f", then: {then}" if then else ""), clock)


def question(line: ReplayWorker) -> Exchange:
    exchange = Exchange(
        RequestId("r-1"), 1, "POST", anthropic_token_count.PATH, {}, Timeline(line.services.clock.monotonic)
    )
    exchange.request = anthropic_token_count.decode_request(json.dumps(BODY).encode())
    return exchange


async def count(line: ReplayWorker) -> tuple[Response, int, Exchange]:
    exchange = question(line)
    with await count_tokens(exchange, line.path(exchange), line.snapshot, line.services) as upstream:
        assert upstream.body is not None
        return upstream, json.loads(upstream.body)["input_tokens"], exchange


async def test_who_would_answer_and_can_count_is_asked(clock: FakeClock) -> None:
    line = line_of(clock, "m-b, m-a")
    line.play(a=COUNT)
    upstream, tokens, exchange = await count(line)
    assert (tokens, exchange.model, line.transport.hosts) == (41, "m-a", ["a.test"])
    assert upstream.header(b"x-gateway-estimated") == ""
    assert upstream.usage == Usage()
    (call,) = line.transport.calls
    assert call.head.startswith(b"POST /v1/messages/count_tokens HTTP/1.1\r\n")
    assert json.loads(call.body) == BODY | {"model": "m-a"}


async def test_where_nobody_first_in_line_can_count_nobody_is_asked(clock: FakeClock) -> None:
    line = line_of(clock, "m-b", then="m-a")
    upstream, tokens, exchange = await count(line)
    assert exchange.request is not None
    assert (tokens, line.transport.calls, exchange.attempts) == (exchange.request.tokens, [], [])
    assert upstream.header(b"x-gateway-estimated") == "true"
    assert (upstream.status, upstream.header(b"content-type")) == (200, "application/json")


@pytest.mark.parametrize(
    "play",
    [
        full_response(b'{"type": "error"}', 404),
        full_response(b"no", 405),
        full_response(b"no", 429),
        full_response(b"no", 503),
        full_response(b"<html>"),
    ],
    ids=["404", "405", "429", "503", "html"],
)
async def test_an_estimate_stands_in_for_a_provider_that_fails_to_count(
    clock: FakeClock, play: ScriptedResponse
) -> None:
    line = line_of(clock, "m-a")
    line.play(a=play)
    upstream, tokens, exchange = await count(line)
    assert exchange.request is not None
    assert (tokens, upstream.header(b"x-gateway-estimated")) == (exchange.request.tokens, "true")
    assert [attempt.outcome for attempt in exchange.attempts] == ["failed"]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_the_provider_refuses_is_no_success(clock: FakeClock, status: int) -> None:
    line = line_of(clock, "m-a")
    line.play(a=full_response(b"no", status))
    with pytest.raises(CredentialRefused):
        await count(line)


async def test_what_is_wrong_with_the_request_is_said(clock: FakeClock) -> None:
    line = line_of(clock, "m-a")
    line.play(a=full_response(b'{"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}', 400))
    with pytest.raises(Rejected):
        await count(line)


async def test_where_every_provider_is_off_there_is_nobody_to_count_for(clock: FakeClock) -> None:
    line = line_of(clock, "m-a")
    with pytest.raises(NoCapacity):
        await count_tokens(question(line), RoutePlan(()), line.snapshot, line.services)


async def test_a_failure_behind_the_count_is_not_answered_by_another_one(clock: FakeClock) -> None:
    line = line_of(clock, "m-a")
    line.play(a=COUNT)
    exchange = question(line)
    with pytest.raises(Rejected), await count_tokens(exchange, line.path(exchange), line.snapshot, line.services):
        raise Rejected("later", status=404, body=b"", content_type="")

"""Who is asked, who is asked next, and what an attempt leaves behind."""

import asyncio

import pytest

from gateway.core.errors import (
    ClientStalled,
    GatewayError,
    NoCapacity,
    ProtocolError,
    Rejected,
    StillWarming,
    StreamInterrupted,
    Unavailable,
    UpstreamError,
    UpstreamTimeout,
)
from gateway.core.exchange import Exchange
from gateway.resilience.breaker import BreakerState
from gateway.upstream.dispatcher import dispatch
from tests.support.clock import FakeClock
from tests.support.replay import (
    DONE,
    NO_RESPONSE,
    ROLE,
    ReplayWorker,
    Reply,
    ScriptedResponse,
    chunk,
    completion,
    full_response,
    stream,
)

TEXT = """
version: 1
providers:
  a: {kind: openai, url: "http://a.test/v1"}
  b: {kind: openai, url: "http://b.test/v1"}
  c: {kind: openai, url: "http://c.test/v1"}
models:
  m-a: {provider: a, price: {input: 1, output: 2}, quality: 0.5}
  m-b: {provider: b, price: {input: 1, output: 2}, quality: 0.5}
  m-c: {provider: c, price: {input: 1, output: 2}, quality: 0.5, retry: none}
defaults: {breaker: {failures: 2, recovery: 30s, successes: 2}, timeout: {first_token: 20ms, answer: 20ms}}
pools:
  main: {members: [m-a, m-b], then: spare, retry: {attempts: 2}}
  spare: {members: [m-c]}
routes:
  - {name: all, match: [auto], to: main}
  - {name: direct, match: [m-a, m-b, m-c], to: requested}
"""
GOOD = full_response(completion())
REFUSED = ScriptedResponse(error=Unavailable("no connection to the provider (refused)", code="upstream_connect"))
HTML = ScriptedResponse((b"<html>",), headers={b"content-type": b"text/html"})
ERROR_EVENT = b'data: {"error": {"message": "overloaded"}}\n\n'


@pytest.fixture
async def line(clock: FakeClock) -> ReplayWorker:
    return ReplayWorker(TEXT, clock)


async def ask(line: ReplayWorker, exchange: Exchange) -> bytes:
    """Take an answer to its end; gives what a client would have got of it."""
    with await dispatch(exchange, line.path(exchange), line.snapshot, line.services) as upstream:
        if upstream.body is not None:
            return upstream.body
        reply = Reply()
        assert upstream.source is not None
        await upstream.source.pump(reply, None)
        return reply.written


def is_at_rest(line: ReplayWorker) -> bool:
    """Tell whether nothing is held: no attempt counted as running, no connection open, no timer armed."""
    return not any(endpoint.in_flight for endpoint in line.endpoints.values()) and all(
        answer._connection is None and answer.timers._handle is None for answer in line.transport.answers
    )


async def test_the_first_target_that_answers_is_taken(line: ReplayWorker) -> None:
    line.play(a=GOOD)
    exchange = line.exchange("auto")
    assert await ask(line, exchange) == completion()
    assert line.transport.hosts == ["a.test"]
    assert (exchange.pool, exchange.model, exchange.provider) == ("main", "m-a", "a")
    assert [(one.endpoint, one.outcome) for one in exchange.attempts] == [("a/m-a", "ok")]
    assert is_at_rest(line)


FAULTS = {
    "connect error": REFUSED,
    "500": full_response(b"{}", 500),
    "503": full_response(b"{}", 503, retry_after="7"),
    "429": full_response(b"{}", 429),
    "our key refused": full_response(b"{}", 401),
    "redirect": full_response(b"", 302, location="http://elsewhere"),
    "silence": NO_RESPONSE,
    "html with 200": HTML,
    "compressed": full_response(completion(), content_encoding="gzip"),
}


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_the_next_target_is_asked_after(line: ReplayWorker, fault: ScriptedResponse, is_stream: bool) -> None:
    line.play(a=fault, b=stream() if is_stream else GOOD)
    exchange = line.exchange("auto", stream=is_stream)
    await ask(line, exchange)
    assert line.transport.hosts == ["a.test", "b.test"]
    assert [one.outcome for one in exchange.attempts] == ["failed", "ok"]
    assert exchange.attempts[0].code is not None
    assert is_at_rest(line)


EARLY_ENDS = {
    "an error event": stream(ROLE, ERROR_EVENT, is_open=True),
    "a cut before the first content": stream(ROLE, cut=True),
    "an end before the first content": stream(ROLE),
    "silence behind the role": stream(ROLE, is_open=True),
    "something that is no chunk": stream(b"data: hello\n\n"),
}


@pytest.mark.parametrize("fault", EARLY_ENDS.values(), ids=EARLY_ENDS)
async def test_a_stream_that_fails_before_its_content_is_given_by_the_next_target(
    line: ReplayWorker, fault: ScriptedResponse
) -> None:
    line.play(a=fault, b=stream())
    written = await ask(line, line.exchange("auto", stream=True))
    assert written.startswith(ROLE)
    assert written.count(b"one ") == 1
    assert written.endswith(DONE)
    assert is_at_rest(line)


async def test_an_unstreamed_answer_cut_in_the_middle_is_given_by_the_next_target(line: ReplayWorker) -> None:
    half = completion()[:20]
    line.play(a=ScriptedResponse((half,), headers={b"content-type": b"application/json"}, cut=True), b=GOOD)
    assert await ask(line, line.exchange("auto")) == completion()


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_a_rejection_is_passed_on_and_counts_for_nothing(line: ReplayWorker, status: int) -> None:
    line.play(a=full_response(b'{"error": {"message": "too long"}}', status), b=GOOD)
    for _ in range(3):
        with pytest.raises(Rejected) as raised:
            await ask(line, line.exchange("auto"))
        assert raised.value.http_status == status
        assert raised.value.body == b'{"error": {"message": "too long"}}'
    assert set(line.transport.hosts) == {"a.test"}
    assert line.endpoints["a/m-a"].breaker.state is BreakerState.CLOSED


async def test_the_pool_behind_is_asked_when_nobody_in_the_first_answers(line: ReplayWorker) -> None:
    line.play(a=REFUSED, b=REFUSED, c=GOOD)
    exchange = line.exchange("auto")
    await ask(line, exchange)
    assert line.transport.hosts == ["a.test", "b.test", "c.test"]
    assert (exchange.pool, exchange.model, len(exchange.attempts)) == ("spare", "m-c", 3)
    assert line.services.metrics.fallbacks["spare"].value == 1


async def test_a_fallback_counts_where_the_first_pool_rests_too(line: ReplayWorker) -> None:
    line.play(a=REFUSED, b=REFUSED, c=GOOD)
    for _ in range(3):
        await ask(line, line.exchange("auto"))
    assert line.transport.hosts[-1:] == ["c.test"]
    assert len(line.transport.hosts) == 7
    assert line.services.metrics.fallbacks["spare"].value == 3


async def test_a_request_handed_on_to_a_pool_counts_once_however_many_of_its_members_are_asked(
    clock: FakeClock,
) -> None:
    text = TEXT.replace("[m-a, m-b], then: spare, retry: {attempts: 2}", "[m-b], then: spare, retry: none")
    text = text.replace("members: [m-c]", "members: [m-c, m-a], retry: {attempts: 2}")
    line = ReplayWorker(text, clock)
    line.play(a=REFUSED, b=REFUSED, c=REFUSED)
    with pytest.raises(Unavailable):
        await ask(line, line.exchange("auto"))
    assert line.transport.hosts == ["b.test", "c.test", "a.test"]
    assert line.services.metrics.fallbacks["spare"].value == 1


async def test_the_last_error_is_told_when_nobody_answers(line: ReplayWorker) -> None:
    line.play(a=REFUSED, b=REFUSED, c=full_response(b"{}", 503))
    with pytest.raises(Unavailable) as raised:
        await ask(line, line.exchange("auto"))
    assert raised.value.http_status == 503
    assert is_at_rest(line)


async def test_nothing_is_asked_again_after_the_first_byte(line: ReplayWorker) -> None:
    line.play(a=stream(ROLE, chunk("one "), cut=True), b=stream())
    exchange = line.exchange("auto", stream=True)
    with pytest.raises(StreamInterrupted):
        await ask(line, exchange)
    assert line.transport.hosts == ["a.test"]
    assert [(one.outcome, one.code) for one in exchange.attempts] == [("failed", "stream_interrupted")]
    assert is_at_rest(line)


async def test_nothing_is_asked_again_after_an_early_sign_of_life(line: ReplayWorker) -> None:
    line.play(a=REFUSED, b=GOOD)
    exchange = line.exchange("auto")
    exchange.timeline.committed_at = 1.0
    with pytest.raises(Unavailable):
        await ask(line, exchange)
    assert line.transport.hosts == ["a.test"]


async def test_failures_open_the_breaker_and_others_are_asked_at_once(line: ReplayWorker, clock: FakeClock) -> None:
    line.play(a=REFUSED, b=GOOD)
    for _ in range(2):
        await ask(line, line.exchange("auto"))
    assert line.endpoints["a/m-a"].breaker.state is BreakerState.OPEN
    exchange = line.exchange("auto")
    await ask(line, exchange)
    assert line.transport.hosts == ["a.test", "b.test"] * 2 + ["b.test"]
    assert len(exchange.attempts) == 1
    assert exchange.timeline.waited_s == 0.0  # this clock stands still


async def test_all_breakers_open_is_no_capacity_until_the_first_may_be_asked(
    line: ReplayWorker, clock: FakeClock
) -> None:
    line.play(c=REFUSED)
    path = ["m-c"] * 2
    for model in path:
        with pytest.raises(Unavailable):
            await ask(line, line.exchange(model))
    clock.advance(10)
    with pytest.raises(NoCapacity) as raised:
        await ask(line, line.exchange("m-c"))
    assert raised.value.retry_after_s == pytest.approx(20)
    assert len(line.transport.calls) == 2


async def test_a_stream_that_breaks_off_hurts_the_breaker(line: ReplayWorker) -> None:
    line.play(c=stream(chunk("one "), cut=True))
    for _ in range(2):
        with pytest.raises(StreamInterrupted):
            await ask(line, line.exchange("m-c", stream=True))
    assert line.endpoints["c/m-c"].breaker.state is BreakerState.OPEN


async def test_a_rate_limit_does_not_hurt_the_breaker(line: ReplayWorker) -> None:
    line.play(c=full_response(b"{}", 429, retry_after="5"))
    for _ in range(3):
        with pytest.raises(UpstreamError) as raised:
            await ask(line, line.exchange("m-c"))
        assert (raised.value.http_status, raised.value.retry_after_s) == (429, 5.0)


async def half_open(line: ReplayWorker, clock: FakeClock) -> None:
    """Open the breaker of c and let its rest pass."""
    line.play(c=REFUSED)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await ask(line, line.exchange("m-c"))
    clock.advance(30)


async def test_probes_that_succeed_close_the_breaker(line: ReplayWorker, clock: FakeClock) -> None:
    await half_open(line, clock)
    line.play(c=GOOD)
    await ask(line, line.exchange("m-c"))
    assert line.endpoints["c/m-c"].breaker.state is BreakerState.HALF_OPEN
    await ask(line, line.exchange("m-c"))
    assert line.endpoints["c/m-c"].breaker.state is BreakerState.CLOSED


@pytest.mark.parametrize(
    "answer", [full_response(b"{}", 404), full_response(b"{}", 429)], ids=["rejected", "rate limited"]
)
async def test_a_probe_that_says_nothing_gives_its_place_back(
    line: ReplayWorker, clock: FakeClock, answer: ScriptedResponse
) -> None:
    await half_open(line, clock)
    line.play(c=answer)
    for _ in range(3):
        with pytest.raises(UpstreamError):
            await ask(line, line.exchange("m-c"))
    assert len(line.transport.calls) == 5
    assert line.endpoints["c/m-c"].breaker.is_available


async def test_a_probe_whose_client_stalls_is_abandoned(line: ReplayWorker, clock: FakeClock) -> None:
    await half_open(line, clock)
    line.play(c=stream(is_open=True))
    exchange = line.exchange("m-c", stream=True)
    with pytest.raises(ClientStalled), await dispatch(exchange, line.path(exchange), line.snapshot, line.services):
        raise ClientStalled("the client takes nothing any more")
    assert exchange.attempts[-1].outcome == "abandoned"
    assert line.endpoints["c/m-c"].breaker.is_available


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("steps", range(14))
async def test_a_client_that_leaves_leaves_nothing_behind(
    line: ReplayWorker, clock: FakeClock, steps: int, is_stream: bool
) -> None:
    """Cancelled after any number of turns of the loop: connection closed, counts at zero, the probe's place free."""
    await half_open(line, clock)
    pieces = (chunk("one "), chunk("two "), chunk("three ")) if is_stream else (b'{"choices": ', b"[", b"]")
    kind = b"text/event-stream" if is_stream else b"application/json"
    line.play(c=ScriptedResponse(pieces, headers={b"content-type": kind}, is_open=True))
    exchange = line.exchange("m-c", stream=is_stream)
    task = asyncio.ensure_future(ask(line, exchange))
    for _ in range(steps):
        await asyncio.sleep(0)
    if steps:
        assert exchange.attempts, "the attempt has begun"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_at_rest(line)
    assert all(wire.is_aborted for wire in line.transport.wires)
    assert [one.outcome for one in exchange.attempts] == ["abandoned"] * bool(steps)
    assert line.endpoints["c/m-c"].breaker.is_available
    assert line.endpoints["c/m-c"].breaker.state is BreakerState.HALF_OPEN


async def test_the_time_spent_with_providers_is_told_apart(line: ReplayWorker, clock: FakeClock) -> None:
    """Each call takes a second of the clock, and so does the work between two attempts' ends."""

    class Slow(type(line.transport)):  # type: ignore[misc]
        async def send(self, call: object) -> object:
            clock.advance(1)
            return await super().send(call)

    line.transport.__class__ = Slow
    line.play(a=REFUSED, b=GOOD)
    clock.advance(5)  # before the attempts
    exchange = line.exchange("auto")
    exchange.timeline.received_at -= 5
    await ask(line, exchange)
    assert exchange.timeline.waited_s == pytest.approx(2.0)
    assert exchange.timeline.first_content_at == pytest.approx(clock.monotonic())


TOTAL = TEXT.replace("answer: 20ms}", "answer: 20ms, total: 1s}")


async def test_no_attempt_is_begun_when_the_total_clock_has_run_out(clock: FakeClock) -> None:
    line = ReplayWorker(TOTAL, clock)
    line.play(a=REFUSED, b=GOOD)
    exchange = line.exchange("auto")
    exchange.timeline.received_at -= 2.0
    with pytest.raises(GatewayError) as raised:
        await ask(line, exchange)
    assert (raised.value.http_status, raised.value.error_code) == (504, "total_timeout")
    assert line.transport.hosts == ["a.test"]


async def test_the_total_clock_runs_from_the_arrival_and_ends_everything(clock: FakeClock) -> None:
    line = ReplayWorker(TOTAL, clock)
    line.play(a=NO_RESPONSE, b=GOOD)
    exchange = line.exchange("auto")
    exchange.timeline.received_at -= 0.995
    with pytest.raises(UpstreamTimeout) as raised:
        await ask(line, exchange)
    assert raised.value.error_code == "total_timeout"
    assert line.transport.hosts == ["a.test"]
    assert is_at_rest(line)


async def test_a_model_may_have_a_total_clock_of_its_own(clock: FakeClock) -> None:
    line = ReplayWorker(TEXT.replace("m-a: {", "m-a: {timeout: {total: 5ms}, "), clock)
    line.play(a=NO_RESPONSE)
    with pytest.raises(UpstreamTimeout) as raised:
        await ask(line, line.exchange("auto"))
    assert raised.value.error_code == "total_timeout"


OWN = TEXT.replace('  c: {kind: openai, url: "http://c.test/v1"}', "  c: {kind: simulator}").replace(
    "members: [m-a, m-b]", "members: [m-c, m-a, m-b]"
)


@pytest.fixture
async def warming(clock: FakeClock) -> ReplayWorker:
    """A line whose first choice is a server that warms up."""
    line = ReplayWorker(OWN, clock)
    line.activate(OWN, {"c": "unix:c.test"})
    line.services.child_changed("c", "warming")
    return line


async def test_a_server_that_warms_up_is_asked_last(warming: ReplayWorker) -> None:
    warming.play(a=GOOD, c=GOOD)
    await ask(warming, warming.exchange("auto"))
    assert warming.transport.hosts == ["a.test"]


async def test_a_server_that_warms_up_is_waited_for_when_nobody_else_answers(warming: ReplayWorker) -> None:
    warming.play(a=REFUSED, b=REFUSED, c=GOOD)
    task = asyncio.ensure_future(ask(warming, warming.exchange("auto")))
    for _ in range(10):
        await asyncio.sleep(0)
    assert warming.transport.hosts == ["a.test", "b.test"]
    assert not task.done()
    warming.services.child_changed("c", "up")
    assert await task == completion()
    assert warming.transport.hosts == ["a.test", "b.test", "c.test"]


async def test_a_server_that_does_not_come_up_in_time_is_not_blamed(warming: ReplayWorker) -> None:
    for _ in range(3):
        with pytest.raises(StillWarming) as raised:
            await ask(warming, only(warming))
        assert raised.value.http_status == 504
    assert warming.endpoints["c/m-c"].breaker.state is BreakerState.CLOSED
    assert is_at_rest(warming)


def only(line: ReplayWorker) -> Exchange:
    """Give a request that only the server that warms up can answer."""
    line.play(a=REFUSED, b=REFUSED)
    return line.exchange("auto")


async def test_what_crosses_to_the_provider_is_ours_but_for_the_listed_headers(line: ReplayWorker) -> None:
    line.play(a=GOOD)
    exchange = line.exchange("auto")
    exchange.headers = {
        "authorization": "Bearer client-key",
        "cookie": "x=1",
        "traceparent": "00-1-2-3",
        "openai-beta": "b",
    }
    await ask(line, exchange)
    (call,) = line.transport.calls
    head = call.head.decode().lower()
    assert "client-key" not in head
    assert "cookie" not in head
    assert "traceparent: 00-1-2-3\r\n" in head
    assert "openai-beta: b\r\n" in head
    assert "x-request-id: r-1\r\n" in head
    assert f"content-length: {len(call.body)}\r\n" in head
    assert head.endswith("\r\n\r\n")
    assert head.count("\r\n\r\n") == 1


@pytest.mark.parametrize(("via", "named"), [("1.0 fred", 1), ("1.0 fred, 1.1 LLM-Gateway", 2)])
async def test_a_gateway_before_this_one_is_handed_on_so_that_a_loop_ends(
    line: ReplayWorker, via: str, named: int
) -> None:
    line.play(a=GOOD)
    exchange = line.exchange("auto")
    exchange.headers = {"via": via}
    await ask(line, exchange)
    (call,) = line.transport.calls
    assert call.head.decode().count("via: 1.1 llm-gateway\r\n") == named


async def test_an_answer_longer_than_allowed_is_a_fault_of_the_provider(clock: FakeClock) -> None:
    line = ReplayWorker(TEXT + "server: {limits: {answer: 1KiB}}\n", clock)
    line.play(c=full_response(completion("x" * 2000)))
    with pytest.raises(ProtocolError):
        await ask(line, line.exchange("m-c"))

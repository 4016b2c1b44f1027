"""Requests over random pools, policies and faults, some of whose clients leave: what holds whatever happens."""

import asyncio
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.errors import GatewayError, Unavailable
from gateway.core.exchange import Exchange
from gateway.upstream.dispatcher import dispatch
from tests.support.dispatching import LoopClock, config, leaks
from tests.support.loops import VirtualTimeLoop
from tests.support.replay import (
    DONE,
    NO_RESPONSE,
    ROLE,
    SSE,
    ReplayWorker,
    Reply,
    ScriptedResponse,
    chunk,
    completion,
    full_response,
)

MAX_AT_MEMBER = 2
ATTEMPTS = 3


@dataclass(frozen=True)
class Client:
    """One request: when it comes, whether it is streamed, and after how many seconds and turns its client leaves."""

    at: float
    is_stream: bool
    patience_s: float | None
    turns: int


DELAYS = st.sampled_from([0.0, 0.0, 0.1, 0.5, 1.0, 1.5, 4.0])
FAULTS = st.sampled_from(
    [
        ScriptedResponse(error=Unavailable("refused")),
        full_response(b"{}", 500),
        full_response(b"{}", 503, retry_after="1"),
        full_response(b"{}", 429),
        full_response(b"{}", 429, retry_after="2"),
        full_response(b"{}", 429, retry_after="90"),
        full_response(b"{}", 401),
        full_response(b"{}", 404),
        full_response(b'{"error": {"code": "context_length_exceeded"}}', 400),
        full_response(b"<html>"),
        NO_RESPONSE,
    ]
)


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, int, bool]:
    """Give how an answer goes: how far, and whether it is cut there or goes silent."""
    return draw(st.sampled_from(["good", "good", "good", "cut", "stuck"])), draw(st.integers(0, 5)), draw(st.booleans())


PLAYS = st.lists(st.tuples(st.one_of(FAULTS, answers()), DELAYS), min_size=1, max_size=6)
CLIENTS = st.lists(
    st.builds(
        Client,
        at=st.sampled_from([0.0, 0.0, 0.1, 1.0, 40.0]),
        is_stream=st.booleans(),
        patience_s=st.sampled_from([None, None, None, 0.0, 0.05, 0.5, 1.0, 1.1, 3.0]),
        turns=st.integers(0, 12),
    ),
    min_size=1,
    max_size=8,
)


def play(host: str, script: object, delay_s: float, *, is_stream: bool) -> ScriptedResponse:
    if isinstance(script, ScriptedResponse):
        return ScriptedResponse(
            script.body, script.status, script.headers, script.error, script.cut, script.is_open, delay_s
        )
    end, count, _ = script  # type: ignore[misc]
    if not is_stream:
        body = completion(f"<{host}>")
        parts = (body,) if end == "good" else (body[: 10 * count + 1],)
        return ScriptedResponse(
            parts, headers=full_response(b"").headers, cut=end == "cut", is_open=end == "stuck", delay_s=delay_s
        )
    events = (ROLE, *(chunk(f"<{host}>") for _ in range(4)), chunk(finish="stop"), DONE)
    parts = events if end == "good" else events[:count]
    return ScriptedResponse(parts, headers=SSE, cut=end == "cut", is_open=end == "stuck", delay_s=delay_s)


@st.composite
def pools(draw: st.DrawFn) -> str:
    """Give a pool, mostly with another behind it."""

    def policy() -> str:
        parts = [f"balance: {draw(st.sampled_from(['in_order', 'round_robin', 'p2c', 'ewma']))}"]
        if draw(st.booleans()):
            parts.append("hedge: {after: 1s, share: 100%}")
        if draw(st.booleans()):
            parts.append(f"max_inflight: {draw(st.integers(1, 3))}, queue: {{wait: 2s, max: 3}}")
        if draw(st.booleans()):
            parts.append("sticky: conversation")
        if draw(st.booleans()):
            parts.append("all_open: soonest")
        parts.append(f"retry: {{attempts: {draw(st.integers(1, ATTEMPTS))}, retry_after_cap: 5s}}")
        return ", ".join(parts)

    members = draw(st.sampled_from(["m-a", "m-a, m-b", "{model: m-b, priority: 2}, m-a"]))
    then = draw(st.sampled_from(["", ", then: spare"]))
    return f"main: {{members: [{members}], {policy()}{then}}}\nspare: {{members: [m-c], {policy()}}}"


class Crowd:
    """The clients of one example, over one line."""

    def __init__(self, text: str, plays: dict[str, list[tuple[object, float]]], clients: list[Client]) -> None:
        self.line = ReplayWorker(text, LoopClock())
        self.clients = clients
        self.exchanges: list[Exchange] = []
        self.most = dict.fromkeys(self.line.endpoints, 0)
        self._play = plays
        self._asked = dict.fromkeys("abc", 0)
        self._replay = self.line.transport.send
        self.line.transport.send = self._ask  # type: ignore[method-assign]

    async def _ask(self, call):  # type: ignore[no-untyped-def]
        host = call.origin.host.removesuffix(".test")
        scripts = self._play[host]
        script, delay_s = scripts[min(self._asked[host], len(scripts) - 1)]
        self._asked[host] += 1
        for name, endpoint in self.line.endpoints.items():
            self.most[name] = max(self.most[name], endpoint.in_flight)
        self.line.play(**{host: play(host, script, delay_s, is_stream=call.is_stream)})
        return await self._replay(call)

    async def run(self) -> None:
        await asyncio.gather(*(self.serve(client) for client in self.clients))
        assert not leaks(self.line)
        for name, most in self.most.items():
            assert most <= MAX_AT_MEMBER, name

    async def serve(self, client: Client) -> None:
        await asyncio.sleep(client.at)
        exchange = self.line.exchange("auto", stream=client.is_stream)
        self.exchanges.append(exchange)
        task = asyncio.ensure_future(self.answer(exchange))
        if client.patience_s is not None:
            await asyncio.wait([task], timeout=client.patience_s)
            for _ in range(client.turns):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait([task])
        outcomes = [attempt.outcome for attempt in exchange.attempts]
        assert "running" not in outcomes
        assert outcomes.count("ok") <= 1
        assert len(outcomes) <= 2 * ATTEMPTS
        if not task.cancelled() and task.result():
            assert outcomes.count("ok") == 1
            assert exchange.attempts[outcomes.index("ok")].endpoint == f"{exchange.provider}/{exchange.model}"

    async def answer(self, exchange: Exchange) -> bool:
        """Give whether the request was answered to its end."""
        reply = Reply()
        try:
            with await dispatch(exchange, self.line.path(exchange), self.line.snapshot, self.line.services) as upstream:
                attempts = len(exchange.attempts)
                exchange.timeline.commit()
                if upstream.body is not None:
                    reply.write(upstream.body)
                else:
                    assert upstream.source is not None
                    await upstream.source.pump(reply, None)
        except GatewayError:
            return False
        else:
            return True
        finally:
            if exchange.timeline.committed_at:
                assert len(exchange.attempts) == attempts, "asked again after the first content"
                # and so nobody else's words are in it
                assert [host for host in "abc" if f"<{host}>".encode() in reply.written] in ([exchange.provider], [])


@given(pools(), st.fixed_dictionaries(dict.fromkeys("abc", PLAYS)), CLIENTS, st.booleans())
@settings(max_examples=60, deadline=None)
def test_whatever_happens(
    pools: str, plays: dict[str, list[tuple[object, float]]], clients: list[Client], has_breaker: bool
) -> None:
    """Nothing is asked again after the first content; an attempt ends in one way; all that was taken is given back."""
    breaker = "{failures: 2, recovery: 20s, successes: 1}" if has_breaker else "none"
    timeout = "{first_token: 3s, answer: 3s, idle: 2s, total: 60s}"
    text = config(
        pools,
        models=f", max_inflight: {MAX_AT_MEMBER}, context: 8k",
        more=f"defaults: {{breaker: {breaker}, timeout: {timeout}}}",
    )

    async def run() -> None:
        await Crowd(text, plays, clients).run()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())

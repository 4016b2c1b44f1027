"""Requests through `dispatch` on a loop whose time is virtual, and whether anything is left of them."""

import asyncio
from dataclasses import dataclass

from gateway.core.exchange import Exchange
from gateway.pools.directory import PoolState
from gateway.upstream.dispatcher import dispatch
from tests.support.replay import ReplayWorker, Reply, ScriptedResponse

WALL_S = 1_700_000_000.0


class LoopClock:
    """The gateway's clocks as the running loop has them: they stand and jump with it."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return WALL_S + self.monotonic()


def config(pools: str, *, hosts: str = "abc", more: str = "", models: str = "", providers: str = "") -> str:
    """Give a configuration with a provider and a model for each of `hosts` (`a.test`, `m-a`), and `pools`, of which `main`
    is asked as `auto`. `models` and `providers` are settings that each of them has."""
    lines = ["version: 1", "providers:"]
    lines += [f'  {host}: {{kind: openai, url: "http://{host}.test/v1"{providers}}}' for host in hosts]
    lines += ["models:"]
    lines += [
        f"  m-{host}: {{provider: {host}, price: {{input: 1, output: 2}}, quality: 0.5{models}}}" for host in hosts
    ]
    lines += ["pools:", *(f"  {line.strip()}" for line in pools.strip().splitlines())]
    lines += ["routes:", "  - {name: all, match: [auto], to: main}", more]
    return "\n".join(lines) + "\n"


def replay_worker(
    pools: str, *, hosts: str = "abc", more: str = "", models: str = "", providers: str = ""
) -> ReplayWorker:
    """Give a line over `config`, in the running loop's time."""
    return ReplayWorker(config(pools, hosts=hosts, more=more, models=models, providers=providers), LoopClock())


async def dispatch_and_read(line: ReplayWorker, exchange: Exchange) -> bytes:
    """Take an answer to its end; gives what a client would have got of it."""
    with await dispatch(exchange, line.path(exchange), line.snapshot, line.services) as upstream:
        if upstream.body is not None:
            return upstream.body
        reply = Reply()
        assert upstream.source is not None
        exchange.timeline.commit()
        await upstream.source.pump(reply, None)
        return reply.written


def called_hosts(line: ReplayWorker) -> str:
    """Give who was asked, in order, a letter each."""
    return "".join(host.removesuffix(".test") for host in line.transport.hosts)


def pool(line: ReplayWorker, name: str = "main") -> PoolState:
    """Give what is alive of a pool."""
    return line.services.directory.pool(name)


def leaks(line: ReplayWorker) -> list[str]:
    """Give what is still held although nothing runs: nothing, it is hoped."""
    found = []
    for name, endpoint in line.endpoints.items():
        if endpoint.in_flight or endpoint.load.in_flight:
            found.append(f"{name}: {endpoint.in_flight} in flight, {endpoint.load.in_flight} at its provider")
        if endpoint.breaker._is_probing:
            found.append(f"{name}: a probe")
    for name in line.snapshot.pools:
        state = pool(line, name)
        if state.limiter.in_flight or state.limiter.waiting:
            found.append(f"{name}: {state.limiter.in_flight} running in the pool, {state.limiter.waiting} waiting")
        if state.budget._running or state.budget._waiting:
            found.append(f"{name}: {state.budget._running} tokens, {len(state.budget._waiting)} wait for one")
    for number, answer in enumerate(line.transport.answers):
        if answer._connection is not None or answer.timers._handle is not None:
            found.append(f"answer {number} is open")
    return found


def lost_picodollars(exchange: Exchange) -> int:
    """Give what the hedges of a request cost whose answer nobody waited for."""
    return sum(attempt.cost_picodollars for attempt in exchange.attempts if attempt.outcome == "abandoned")


def outcomes(exchange: Exchange) -> list[str]:
    """Give how the attempts of a request ended, in order."""
    return [attempt.outcome for attempt in exchange.attempts]


@dataclass
class CallTimes:
    """When each host was asked, in seconds since the beginning."""

    times: list[tuple[str, float]]

    @property
    def gaps_s(self) -> list[float]:
        """Between one call and the next."""
        return [later - sooner for (_, sooner), (_, later) in zip(self.times, self.times[1:], strict=False)]


def record_calls(line: ReplayWorker) -> CallTimes:
    """Note from now on when hosts are asked."""
    loop = asyncio.get_running_loop()
    since, asked, plain = loop.time(), CallTimes([]), line.transport.send

    async def dispatch_and_read(call):  # type: ignore[no-untyped-def]
        asked.times.append(((call.origin.host or call.origin.unix).removesuffix(".test"), loop.time() - since))
        return await plain(call)

    line.transport.send = dispatch_and_read  # type: ignore[method-assign]
    return asked


def delayed(play: ScriptedResponse, delay_s: float) -> ScriptedResponse:
    """Give the same play, begun later."""
    return ScriptedResponse(play.body, play.status, play.headers, play.error, play.cut, play.is_open, delay_s)

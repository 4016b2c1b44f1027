"""What it costs to decide who is asked: microseconds from the beginning of `dispatch` to the call of the transport.

Nothing waits on that way, so the time that passes is CPU time. With one, three and ten members, all well, and with the first
one's breaker open; and how long a refusal takes where every breaker is open.

python -m tests.bench.bench_dispatch
"""

import asyncio
import logging
import time

from gateway.core.clock import SystemClock
from gateway.core.errors import GatewayError, Rejected
from gateway.providers.response import UpstreamResponse, WireRequest
from gateway.upstream.dispatcher import dispatch
from tests.support.dispatching import config
from tests.support.replay import ReplayWorker

ROUNDS, REQUESTS = 9, 3000
HOSTS = "abcdefghij"


class Stop(Rejected):
    """Ends a request where its call would begin."""


async def measure(line: ReplayWorker, *, is_asked: bool) -> float:
    """Give the mean time in microseconds, of the best round: whatever else runs on the machine only adds."""
    asked_at = 0

    async def ask(call: WireRequest) -> UpstreamResponse:
        nonlocal asked_at
        asked_at = time.perf_counter_ns()
        raise Stop("enough", status=404, body=b"", content_type="")

    line.transport.send = ask  # type: ignore[method-assign]
    rounds = []
    for _ in range(ROUNDS):
        spent_ns = 0
        for exchange in [line.exchange("auto") for _ in range(REQUESTS)]:
            path = line.path(exchange)
            began_at = time.perf_counter_ns()
            try:
                with await dispatch(exchange, path, line.snapshot, line.services):
                    pass
            except GatewayError as error:
                ended_at = time.perf_counter_ns()
                assert isinstance(error, Stop) is is_asked
            spent_ns += (asked_at if is_asked else ended_at) - began_at
        rounds.append(spent_ns / REQUESTS / 1000)
    return min(rounds)


def trip(line: ReplayWorker, hosts: str) -> None:
    """Open breakers."""
    for host in hosts:
        line.endpoints[f"{host}/m-{host}"].breaker.trip()


async def main() -> None:
    logging.disable(logging.CRITICAL)
    for balance in ("in_order", "round_robin", "ewma"):
        for count in (1, 3, 10):
            members = ", ".join(f"m-{host}" for host in HOSTS[:count])
            text = config(f"main: {{members: [{members}], balance: {balance}}}", hosts=HOSTS)
            line = ReplayWorker(text, SystemClock())
            print(f"{balance}, {count} members, all well:       {await measure(line, is_asked=True):6.1f} us")
            if count > 1:
                trip(line, "a")
                print(f"{balance}, {count} members, first open:     {await measure(line, is_asked=True):6.1f} us")
            trip(line, HOSTS[:count])
            print(f"{balance}, {count} members, all open:       {await measure(line, is_asked=False):6.1f} us")
    line = ReplayWorker(
        config("main: {members: [m-a], then: spare}\nspare: {members: [m-b]}", hosts="ab"), SystemClock()
    )
    trip(line, "a")
    print(f"the pool behind an open one:             {await measure(line, is_asked=True):6.1f} us")


if __name__ == "__main__":
    asyncio.run(main())

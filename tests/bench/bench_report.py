"""What reporting costs the event loop per request: CPU time of `Reporter.file` and its parts.

python tests/bench/bench_report.py
"""

import asyncio
import os
import time
from collections.abc import Callable

from gateway.config.spec import BreakerSpec
from gateway.core.chat import ChatRequest
from gateway.core.clock import SystemClock
from gateway.core.exchange import AttemptRecord, Exchange, Meter, Principal, RequestId
from gateway.core.usage import Usage
from gateway.observability.metrics import Metrics
from gateway.observability.report import Reporter
from gateway.observability.request_log import RequestLog
from gateway.resilience.breaker import Breaker

ROUNDS, COUNT = 7, 20_000


def an_exchange(clock: SystemClock) -> Exchange:
    now = clock.monotonic()
    return Exchange(
        id=RequestId("0123456789abcdef0123456789abcdef"),
        received_at=now - 1.0,
        generation=3,
        path="/v1/chat/completions",
        principal=Principal("acme", "9f2c01ab"),
        headers={},
        request=ChatRequest(b"{}", "/v1/chat/completions", "gpt-4o", stream=True),
        route="direct",
        pool="strong",
        model="gpt-4o",
        provider="openai",
        attempts=[AttemptRecord("openai/gpt-4o", now - 0.9, "ok")],
        meter=Meter(30, 9000, Usage(100, output=30), now - 0.5, now),
        cost_picodollars=550_000_000,
        waited_s=0.99,
        committed_at=now - 0.5,
        finished_at=now,
        status=200,
        outcome="ok",
    )


def show(name: str, work: Callable[[], object]) -> None:
    """Print the CPU time of one call: the best of some rounds, the thread's own time only."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.thread_time()
        for _ in range(COUNT):
            work()
        best = min(best, time.thread_time() - start)
    print(f"{name:<44} {best / COUNT * 1e6:6.2f} µs")


async def main() -> None:
    clock = SystemClock()
    metrics = Metrics()
    metrics.configure(models=["gpt-4o"], endpoints=["openai/gpt-4o"], pools=["strong"])
    exchange = an_exchange(clock)
    sink = os.open(os.devnull, os.O_WRONLY)
    log = RequestLog(sink, limit=2**40)

    show("count one request", lambda: metrics.requests["gpt-4o", "200"])
    without_log, with_log = Reporter(metrics, None, clock), Reporter(metrics, log, clock)
    show("file: metrics only", lambda: without_log.file(exchange))
    show("write one line of 500 bytes", lambda line=b"x" * 500: log.write(line))
    show("file: metrics and line", lambda: with_log.file(exchange))

    breaker = Breaker(BreakerSpec(), clock)

    def attempt() -> None:
        permit = breaker.try_acquire()
        if permit is not None:
            permit.succeed()

    show("breaker: acquire and succeed", attempt)
    log.close()
    os.close(sink)


if __name__ == "__main__":
    asyncio.run(main())

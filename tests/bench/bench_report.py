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
from gateway.core.exchange import AttemptRecord, Decision, Exchange, Meter, Principal, RequestId, Timeline
from gateway.core.usage import Usage
from gateway.observability.metrics import Metrics
from gateway.observability.report import Reporter
from gateway.observability.request_log import RequestLog
from gateway.resilience.breaker import Breaker

ROUNDS, COUNT = 7, 20_000


def an_exchange(clock: SystemClock) -> Exchange:
    now = clock.monotonic()
    timeline = Timeline(clock.monotonic, now - 1.0)
    timeline.first_content_at = timeline.committed_at = now - 0.5
    timeline.last_content_at = timeline.finished_at = now
    timeline.waited_s = 0.99
    attempt = AttemptRecord("openai/gpt-4o", now - 0.9, "ok", None, "strong", "gpt-4o", "openai")
    attempt.usage, attempt.cost_picodollars = Usage(100, output=30), 550_000_000
    return Exchange(
        id=RequestId("0123456789abcdef0123456789abcdef"),
        generation=3,
        method="POST",
        path="/v1/chat/completions",
        principal=Principal("acme", "9f2c01ab"),
        headers={},
        request=ChatRequest(b"{}", "/v1/chat/completions", "gpt-4o", stream=True),
        timeline=timeline,
        decision=Decision(route="direct"),
        attempts=[attempt],
        attempt=attempt,
        meter=Meter(30, 9000),
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
    show("file: metrics only", lambda: without_log.report(exchange))
    show("write one line of 500 bytes", lambda line=b"x" * 500: log.write(line))
    show("file: metrics and line", lambda: with_log.report(exchange))

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

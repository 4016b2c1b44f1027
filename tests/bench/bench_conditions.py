"""What conditions cost: to compile at load, and to evaluate for each request.

python tests/bench/bench_conditions.py
"""

import time
from collections.abc import Callable
from functools import partial

from gateway.core.chat import ChatRequest
from gateway.dsl.compile import Condition, Conditions

LETS = {"agentic": "request.tools > 0 || request.images > 0"}
SOURCES = {
    "one comparison": "request.tokens > 1000",
    "six terms": 'agentic && request.tokens > 1000 && request.temperature <= 1 && headers["x-team"] == "search" '
    '&& !request.model.startsWith("gpt") && request.has_temperature',
    "mixed arithmetic": "request.tokens * 1.5 > request.max_tokens",
    "a list": '["gpt-", "o1", "o3"].exists(p, request.model.startsWith(p))',
    "an expression": 'headers["x-team"].matches("^(search|ads)$")',
}
REQUEST = ChatRequest(b"", "/v1/chat/completions", "auto", tools=1, tokens=5000, temperature=0.5)
HEADERS = {"x-team": "search", "user-agent": "bench"}


def cpu_us(work: Callable[[], object], rounds: int) -> float:
    """Give the CPU time of one call, in microseconds: the least of five series."""
    least = float("inf")
    for _ in range(5):
        start = time.process_time()
        for _ in range(rounds):
            work()
        least = min(least, (time.process_time() - start) / rounds * 1e6)
    return least


def first_of_a_request(conditions: Conditions, condition: Condition) -> bool:
    return condition.holds(conditions.scope(REQUEST, HEADERS, "acme", {}, 0.0))


def main() -> None:
    print(f"{'a whole Conditions with one let':34}{cpu_us(lambda: Conditions(LETS), 20):10.1f} µs")
    for name, source in SOURCES.items():
        conditions = Conditions(LETS)
        compile_us = cpu_us(partial(conditions.check, source), 20)
        condition = conditions.compile(source)
        first_us = cpu_us(partial(first_of_a_request, conditions, condition), 20_000)
        again_us = cpu_us(partial(condition.holds, conditions.scope(REQUEST, HEADERS, "acme", {}, 0.0)), 20_000)
        print(
            f"{name:18} compile {compile_us:7.1f} µs   first of a request {first_us:5.2f} µs   further {again_us:5.2f} µs"
        )


if __name__ == "__main__":
    main()

"""Slow clients beside busy ones: `python -m tests.bench.slowloris`.

First requests at a steady rate alone; then the same beside connections that send a head, and others that send a body, a
byte at a time. Prints the latencies of both, and when the slow ones were cut.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import uvloop

from tests.support.gateway import GatewayProcess, running_gateway
from tests.support.http import CHAT, chat_body, request_bytes

HEAD_S, BODY_S = 5.0, 8.0
LATE_S = 1.0  # beyond its clock, a connection is cut at the latest
PRELUDE_S = 2.0  # a warm line before anything is measured
CONFIG = """
providers: {sim: {kind: simulator}}
models: {sim-*: {provider: sim, price: {input: 1, output: 2}, quality: 0.5}}
routes: [{name: direct, match: ["*"], to: requested}]
"""
SERVER = f"limits: {{head_timeout: {HEAD_S:g}s, body_timeout: {BODY_S:g}s}}"
SLOW_HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-slow: " + b"a" * 1000
SLOW_BODY = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
)


@dataclass
class Figures:
    """Latencies in seconds of what was answered 200, and how many were not."""

    latencies: list[float] = field(default_factory=list)
    failed: int = 0

    def __str__(self) -> str:
        cuts = quantiles(self.latencies, n=100)
        p50, p99 = cuts[49] * 1000, cuts[98] * 1000
        return f"{len(self.latencies)} answered, {self.failed} failed, p50 {p50:.1f} ms, p99 {p99:.1f} ms"

    @property
    def p99(self) -> float:
        return quantiles(self.latencies, n=100)[98]


async def requests(gateway: GatewayProcess, rate: float, seconds: float) -> Figures:
    """Ask at a steady rate, whatever the answers do, on connections that are kept."""
    figures, idle = Figures(), []
    body = request_bytes("POST", CHAT, chat_body("sim-tokens5"))

    async def ask() -> None:
        began = time.monotonic()
        try:
            reader, writer = idle.pop() if idle else await asyncio.open_connection(*gateway.address)
            writer.write(body)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            if not head.startswith(b"HTTP/1.1 200 "):
                raise ValueError(head)
            idle.append((reader, writer))
            figures.latencies.append(time.monotonic() - began)
        except (OSError, ValueError, asyncio.IncompleteReadError):
            figures.failed += 1

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(began + number / rate - time.monotonic())
            group.create_task(ask())
    for _, writer in idle:
        writer.close()
    return figures


def slow_ones(address: tuple[str, int], each: int) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    """Be `each` slow heads and as many slow bodies, in a process of their own: whoever measures must not wait for them.

    Gives the status and the time of each, heads first.
    """

    async def run() -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
        heads = [slow(address, number / each, b"P", SLOW_HEAD[1:]) for number in range(each)]
        bodies = [slow(address, number / each, SLOW_BODY, b" " * 1000) for number in range(each)]
        done = await asyncio.gather(*heads, *bodies)
        return done[:each], done[each:]

    return uvloop.run(run())


async def slow(address: tuple[str, int], phase: float, first: bytes, rest: bytes) -> tuple[int, float]:
    """Send `first`, then a byte every 200 ms until something is answered; gives the status and when it came.

    `phase` (0 to 1) puts off the start by a part of that, since clients that know nothing of each other don't keep step.
    """
    await asyncio.sleep(phase * 0.2)
    reader, writer = await asyncio.open_connection(*address)
    began = time.monotonic()
    writer.write(first)
    answer = asyncio.ensure_future(reader.read(100_000))
    for byte in rest:
        done, _ = await asyncio.wait([answer], timeout=0.2)
        if done:
            break
        writer.write(bytes((byte,)))
    try:
        data = await asyncio.wait_for(answer, 5.0)
        took = time.monotonic() - began
    except (TimeoutError, ConnectionError):
        return 0, time.monotonic() - began
    finally:
        writer.close()
    return int(data.split(b" ")[1]) if data else 0, took


async def measure(gateway: GatewayProcess, slow_each: int, rate: float) -> bool:
    """Run both parts and print; gives whether all is as promised."""
    seconds = BODY_S + 2
    await requests(gateway, rate, PRELUDE_S)
    before = await requests(gateway, rate, seconds)
    print(f"alone:               {before}")
    descriptors = gateway.fds()
    with ProcessPoolExecutor(1) as others:
        slow_task = asyncio.get_running_loop().run_in_executor(others, slow_ones, gateway.address, slow_each)
        beside = await requests(gateway, rate, seconds)
        heads, bodies = await slow_task
    print(f"beside {2 * slow_each} slow ones: {beside}")
    is_well = beside.failed == 0 and beside.p99 < 2 * before.p99
    for name, outcomes, clock_s in (("heads", heads, HEAD_S), ("bodies", bodies, BODY_S)):
        times = sorted(took for _, took in outcomes)
        statuses = {status for status, _ in outcomes}
        print(f"slow {name}: statuses {statuses}, cut after {times[0]:.2f} to {times[-1]:.2f} s (clock {clock_s:g} s)")
        is_well &= statuses == {408} and clock_s - 0.1 <= times[0] and times[-1] <= clock_s + LATE_S
    print(f"p99 {beside.p99 / before.p99:.2f} times that before; descriptors {gateway.fds() - descriptors:+d}")
    return is_well


def main() -> int:
    """Measure, and say whether all is as promised."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--slow", type=int, default=200, help="slow heads, and as many slow bodies")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second beside them")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_gateway(Path(folder), CONFIG, server=SERVER) as gateway:
        is_well = uvloop.run(measure(gateway, given.slow, given.rate))
    print("as promised" if is_well else "NOT as promised")
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())

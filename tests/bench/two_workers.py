"""Two workers against one, measured: `python -m tests.bench.two_workers`.

Prints the CPU of control and workers per request with two workers over that with one (rounds taken in turn, so that a
noisy machine hits both alike), how evenly connections are spread, and what a kill -9 of one worker costs under 200 streams.
"""

import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp

from tests.integration.test_workers import BODY, counted, wait_for_both
from tests.support.gateway import GatewayProcess, running_gateway
from tests.support.waiting import wait_for

ROUNDS, REQUESTS, CONNECTIONS = 7, 4000, 400
SPREAD, STREAMS = 1000, 200
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(gateway: GatewayProcess) -> float:
    """Give the CPU seconds of control and workers, without the server of the provider."""
    total = 0
    for pid in (gateway.pid, *gateway.worker_pids):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS_PER_S


@contextmanager
def running(folder: str, workers: int) -> Iterator[GatewayProcess]:
    with running_gateway(Path(folder) / str(workers), BODY, server=f"workers: {workers}") as gateway:
        wait_for(lambda: gateway.admin("/health").json()["workers"]["active"] == workers, "the workers")
        wait_for(lambda: gateway.admin("/ready").json()["warming"] == [], "the simulator to be up")
        yield gateway


async def load(url: str, requests: int, connections: int) -> int:
    """Ask over so many kept connections; gives how many requests failed."""
    body = {"model": "quick", "messages": [{"role": "user", "content": "go"}]}
    failed, left = 0, requests

    async def ask_on(session: aiohttp.ClientSession) -> None:
        nonlocal failed, left
        while left > 0:
            left -= 1
            async with session.post(url, json=body) as answer:
                await answer.read()
                failed += answer.status != 200

    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as tasks:
        for _ in range(connections):
            tasks.create_task(ask_on(session))
    return failed


async def follow(session: aiohttp.ClientSession, url: str, kill: asyncio.Event) -> tuple[bool, bool]:
    """Follow one stream; gives whether it ended cut short, and whether it looked whole."""
    body = {"model": "lengthy", "stream": True, "messages": [{"role": "user", "content": "go"}]}
    text = b""
    try:
        async with session.post(url, json=body) as answer:
            async for data in answer.content.iter_any():
                text += data
                kill.set()
    except aiohttp.ClientError:
        return True, b"[DONE]" in text
    return not text.endswith(b"data: [DONE]\n\n"), b"[DONE]" in text


async def kill_one(gateway: GatewayProcess, url: str) -> None:
    victim = gateway.worker_pids[0]
    begun = asyncio.Event()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        streams = [asyncio.create_task(follow(session, url, begun)) for _ in range(STREAMS)]
        await begun.wait()
        await asyncio.sleep(0.7)
        before = await asyncio.to_thread(counted, gateway, "gateway_streams_in_flight")
        os.kill(victim, signal.SIGKILL)
        began_at = time.monotonic()
        await asyncio.to_thread(wait_for_replacement, gateway, victim)
        replaced_s = time.monotonic() - began_at
        results = await asyncio.gather(*streams)
    cut = sum(is_cut for is_cut, _ in results)
    lying = sum(is_cut and looks_whole for is_cut, looks_whole in results)
    print(
        f"kill -9 under {before['']:.0f} streams: {cut} cut, {STREAMS - cut} whole, {lying} cut ones that look whole; "
    )
    print(f"  replaced after {replaced_s:.2f} s")


def wait_for_replacement(gateway: GatewayProcess, victim: int) -> None:
    wait_for(lambda: victim not in gateway.worker_pids and len(gateway.worker_pids) == 2, "another worker")
    wait_for_both(gateway)


def main() -> int:
    """Measure and print."""
    per_request: dict[int, list[float]] = {1: [], 2: []}
    failed = 0
    with tempfile.TemporaryDirectory() as folder, running(folder, 1) as one, running(folder, 2) as two:
        for round_number in range(ROUNDS + 1):
            for workers, gateway in ((1, one), (2, two)):
                before = cpu_s(gateway)
                failed += asyncio.run(load(f"{gateway.base_url}/chat/completions", REQUESTS, CONNECTIONS))
                if round_number:  # the first warms up
                    per_request[workers].append((cpu_s(gateway) - before) / REQUESTS * 1e6)
        ratio = statistics.median(b / a for a, b in zip(per_request[1], per_request[2], strict=True))
        medians = {workers: statistics.median(values) for workers, values in per_request.items()}
        print(f"CPU per request: {medians[1]:.0f} µs with one worker, {medians[2]:.0f} µs with two; ratio {ratio:.3f}")
        before_spread = counted(two, "gateway_worker_requests_total")
        for _ in range(SPREAD // 100):  # a connection each
            failed += asyncio.run(load(f"{two.base_url}/chat/completions", 100, 100))
        spread = {
            worker: value - before_spread[worker]
            for worker, value in counted(two, "gateway_worker_requests_total").items()
        }
        print(f"spread of {SPREAD} requests over as many connections: {spread}")
        asyncio.run(kill_one(two, f"{two.base_url}/chat/completions"))
    print(f"failed requests: {failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

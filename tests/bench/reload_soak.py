"""Reloads under load, measured: 100 SIGHUPs while 200 streams run and requests go on. `python -m tests.bench.reload_soak`.

Prints what broke (nothing may) and what grew between the 20th and the last reload. A broken file comes in between.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from tests.support.gateway import GatewayProcess, running_gateway
from tests.support.http import fetch

STREAMS, RELOADS, WARM = 200, 100, 20
BODY = """
providers: {{sim: {{kind: simulator}}}}
models:
  sim-*: {{provider: sim, price: {{input: 1, output: {price}}}, quality: 0.5}}
let: {{long: 'request.tokens > {tokens}'}}
routes:
  - {{name: long, match: ["sim-*"], when: 'long && headers["x-team"] == "a{tokens}"', to: requested}}
  - {{name: direct, match: ["sim-*"], to: requested}}
"""


class Tally:
    """What clients saw."""

    def __init__(self) -> None:
        self.streams_ok = self.streams_broken = self.requests_ok = self.requests_failed = 0
        self.is_over = False
        self.faults: list[str] = []


async def stream_for_ever(session: aiohttp.ClientSession, url: str, tally: Tally) -> None:
    """One stream after the other, 400 events each at 20 a second, until the soak is over."""
    body = {"model": "sim-tokens400-rate20", "stream": True, "messages": [{"role": "user", "content": "go"}]}
    while not tally.is_over:
        try:
            async with session.post(url, json=body) as answer:
                text = await answer.read()
            events = [event for event in text.split(b"\n\n") if event.startswith(b"data:")]
            whole = (
                answer.status == 200 and events[-1] == b"data: [DONE]" and len(events) == 403
            )  # the role, 400 of content, the finish, the end
            if whole:
                tally.streams_ok += 1
            else:
                tally.streams_broken += 1
                tally.faults.append(f"stream: {answer.status}, {len(events)} events, ends {text[-200:]!r}")
        except aiohttp.ClientError as error:
            tally.streams_broken += 1
            tally.faults.append(f"stream: {error!r}")


async def ask_for_ever(session: aiohttp.ClientSession, url: str, tally: Tally) -> None:
    """Short requests, one after the other."""
    body = {"model": "sim-tokens5", "messages": [{"role": "user", "content": "go"}]}
    while not tally.is_over:
        async with session.post(url, json=body) as answer:
            await answer.read()
        if answer.status == 200:
            tally.requests_ok += 1
        else:
            tally.requests_failed += 1
            tally.faults.append(f"request: {answer.status}")


def generation(gateway: GatewayProcess) -> int:
    return int(fetch(gateway.address, "/ready").json()["config"])


async def soak(gateway: GatewayProcess) -> Tally:
    tally, url = Tally(), f"{gateway.base_url}/chat/completions"
    timeout, connector = aiohttp.ClientTimeout(total=None), aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session, asyncio.TaskGroup() as tasks:
        for _ in range(STREAMS):
            tasks.create_task(stream_for_ever(session, url, tally))
        for _ in range(4):
            tasks.create_task(ask_for_ever(session, url, tally))
        await asyncio.sleep(5)
        times, at_warm = [], (0, 0)
        for number in range(1, RELOADS + 1):
            if number == RELOADS // 2:
                await asyncio.to_thread(send_broken, gateway)
            before = await asyncio.to_thread(generation, gateway)
            gateway.write_config(BODY.format(price=number, tokens=number))
            began = time.monotonic()
            os.kill(gateway.pid, signal.SIGHUP)
            while await asyncio.to_thread(generation, gateway) == before:
                await asyncio.sleep(0.01)
            times.append(time.monotonic() - began)
            if number in (WARM, RELOADS):
                await asyncio.sleep(1)
                now = gateway.rss(), gateway.fds()
                if number == WARM:
                    at_warm = now
        print(
            f"reloads {RELOADS}, in effect after {sorted(times)[len(times) // 2]:.3f} s (median), {max(times):.3f} s (worst)"
        )
        print(
            f"from reload {WARM} to {RELOADS}: RSS {(now[0] - at_warm[0]) / 2**20:+.2f} MiB, descriptors {now[1] - at_warm[1]:+d}"
        )
        tally.is_over = True
    return tally


def send_broken(gateway: GatewayProcess) -> None:
    """A broken file changes nothing and is reported with its place."""
    before = generation(gateway)
    gateway.write_config(BODY.format(price=1, tokens=1) + "pools: {x: {members: [nobody]}}\n")
    outcome = gateway.admin("/admin/reload", post=True).json()
    assert not outcome["ok"] and generation(gateway) == before, outcome
    print(f"broken file: refused, still configuration {before}: {outcome['problems'][0]}")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        body = BODY.format(price=1, tokens=1)
        with running_gateway(Path(folder), body) as gateway:
            tally = asyncio.run(soak(gateway))
    print(f"streams: {tally.streams_ok} whole, {tally.streams_broken} broken")
    print(f"requests: {tally.requests_ok} answered, {tally.requests_failed} failed")
    print("\n".join(tally.faults[:10]), end="")
    return 1 if tally.streams_broken or tally.requests_failed else 0


if __name__ == "__main__":
    sys.exit(main())

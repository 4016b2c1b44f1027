"""Five times the load that a pool can take, from one of two tenants: `python -m tests.bench.overload`.

A pool of `ROOM` places over a simulator that takes 50 ms; one tenant floods it open-loop, at random moments, whatever
becomes of its requests; the other asks a few times a second. Prints, per run and as medians: goodput as a share of the
capacity, the quiet tenant's p99 beside what it is alone, and how many refusals came without Retry-After. Exits with 1 where
a bound is missed. The clients run in a process of their own.
"""

import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import uvloop

from tests.support.gateway import running_gateway
from tests.support.simulator import SimulatorProcess

ROOM, SERVICE_S = 8, 0.05
CAPACITY = ROOM / SERVICE_S  # requests per second
FLOOD, QUIET = 5 * CAPACITY, 5.0  # requests per second
RUNS, RUN_S, WARM_UP_S = 5, 10.0, 2.0
KEYS = {"flood": "key-of-the-flood", "quiet": "key-of-the-quiet"}
LEAST_GOODPUT = 0.9
MOST_QUIET_S = 0.05  # beyond twice the p99 that it has alone

BODY = f"""
providers:
  sim: {{{{kind: openai, url: "{{url}}", key: "${{{{SIM_KEY}}}}"}}}}
models:
  sim-tokens1-first{SERVICE_S}s: {{{{provider: sim, price: {{{{input: 1, output: 2}}}}, quality: 0.5}}}}
pools:
  small:
    members: [sim-tokens1-first{SERVICE_S}s]
    max_inflight: {ROOM}
    queue: {{{{max: 100, wait: 2s, fair_by: tenant}}}}
routes:
  - {{{{name: all, match: [auto], to: small}}}}
tenants:
""" + "".join(f"  {name}: {{{{keys: ['sha256:{sha256(key.encode()).hexdigest()}']}}}}\n" for name, key in KEYS.items())


@dataclass
class Seen:
    """What one tenant saw: how long good answers took, which statuses it got, how many refusals lacked Retry-After."""

    answered_s: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    without_retry_after: int = 0

    def note(self, status: int, head: bytes, took_s: float) -> None:
        self.statuses[status] += 1
        if status == 200:
            self.answered_s.append(took_s)
        elif b"\r\nretry-after: " not in head.lower():
            self.without_retry_after += 1


class Tenant:
    """A client that keeps its connections and opens another where all are busy, as open-loop load must."""

    def __init__(self, name: str, port: int) -> None:
        body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "go"}]}).encode()
        self._request = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {KEYS[name]}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode() + body
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.seen = Seen()

    async def ask(self, is_counted: bool) -> None:
        """Ask once and note what came."""
        began_at = time.monotonic()
        connection = self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = connection
        writer.write(self._request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r")[0])
        await reader.readexactly(length)
        if is_counted:
            self.seen.note(int(head[9:12]), head, time.monotonic() - began_at)
        if b"\r\nconnection: close" in head.lower():
            writer.close()
        else:
            self._idle.append(connection)

    async def flow(self, per_s: float, seconds: float, chance: random.Random) -> None:
        """Ask at random moments, so many times a second on average; the first `WARM_UP_S` are not counted."""
        began_at = time.monotonic()
        at = 0.0
        async with asyncio.TaskGroup() as group:
            while (at := at + chance.expovariate(per_s)) < WARM_UP_S + seconds:
                await asyncio.sleep(max(0.0, began_at + at - time.monotonic()))
                group.create_task(self.ask(at >= WARM_UP_S))
        for _, writer in self._idle:
            writer.close()


async def load(port: int, flood: float, seconds: float, seed: int) -> dict[str, Seen]:
    """Run both tenants beside each other; gives what each saw."""
    tenants = {name: Tenant(name, port) for name in KEYS}
    async with asyncio.TaskGroup() as group:
        group.create_task(tenants["quiet"].flow(QUIET, seconds, random.Random(seed)))
        if flood:
            group.create_task(tenants["flood"].flow(flood, seconds, random.Random(seed + 1)))
    return {name: tenant.seen for name, tenant in tenants.items()}


def load_apart(port: int, flood: float, seconds: float, seed: int) -> dict[str, Seen]:
    """Do `load` in another process."""
    command = [sys.executable, "-m", "tests.bench.overload", str(port), str(flood), str(seconds), str(seed)]
    said = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return {
        name: Seen(
            seen["answered_s"],
            Counter({int(status): count for status, count in seen["statuses"].items()}),
            seen["without_retry_after"],
        )
        for name, seen in said.items()
    }


def p99(times_s: list[float]) -> float:
    """Give the 99th percentile (of few values the largest)."""
    ranked = sorted(times_s)
    return ranked[min(len(ranked) - 1, int(0.99 * len(ranked)))]


def measure(port: int) -> bool:
    """Run and print; gives whether all bounds hold."""
    alone_s = [p99(load_apart(port, 0.0, RUN_S, seed)["quiet"].answered_s) for seed in range(RUNS)]
    goodputs, quiet_s, lacking = [], [], 0
    for run in range(RUNS):
        seen = load_apart(port, FLOOD, RUN_S, 100 + run)
        flood, quiet = seen["flood"], seen["quiet"]
        goodputs.append((len(flood.answered_s) + len(quiet.answered_s)) / RUN_S / CAPACITY)
        quiet_s.append(p99(quiet.answered_s))
        lacking += flood.without_retry_after + quiet.without_retry_after
        print(
            f"run {run + 1}: goodput {goodputs[-1]:.1%}; quiet p99 {quiet_s[-1] * 1e3:.0f} ms, alone"
            f" {alone_s[run] * 1e3:.0f} ms; flood {dict(flood.statuses)}, quiet {dict(quiet.statuses)}",
            flush=True,
        )
    alone, goodput, quiet_p99 = map(statistics.median, (alone_s, goodputs, quiet_s))
    bound = 2 * alone + MOST_QUIET_S
    print(
        f"medians: goodput {goodput:.1%} of {CAPACITY:.0f}/s (at least {LEAST_GOODPUT:.0%}); quiet p99 {quiet_p99 * 1e3:.0f} ms"
        f" (at most {bound * 1e3:.0f} ms, alone {alone * 1e3:.0f} ms); refusals without Retry-After: {lacking}"
    )
    return goodput >= LEAST_GOODPUT and quiet_p99 <= bound and not lacking


def main() -> int:
    """Measure, or be the clients of one run where arguments say so."""
    if len(sys.argv) > 1:
        port, flood, seconds, seed = sys.argv[1:]
        seen = uvloop.run(load(int(port), float(flood), float(seconds), int(seed)))
        print(json.dumps({name: vars(one) for name, one in seen.items()}))
        return 0
    with (
        tempfile.TemporaryDirectory() as folder,
        SimulatorProcess(Path(folder)) as simulator,
        running_gateway(Path(folder) / "gateway", BODY.format(url=simulator.url)) as gateway,
    ):
        return 0 if measure(gateway.port) else 1


if __name__ == "__main__":
    sys.exit(main())

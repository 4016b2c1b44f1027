"""Embeddings, each call alone and gathered: `python -m tests.bench.embeddings_batch`.

64 clients ask for one vector each at the same moment, round after round, over a simulator that takes 30 ms; between
the rounds one client asks on its own. Prints for each setting: calls at the provider for each round, p50 and p99 of what clients wait, and the gateway's CPU for
each call. Exits with 1 where a round needs more than 4 calls on average, or the p50 grows by more than the setting's `wait`.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from tests.support.gateway import GatewayProcess, running_gateway
from tests.support.simulator import SimulatorProcess

CLIENTS, ROUNDS, LONE = 64, 100, 2
MOST_CALLS = 4.0
WAITS_MS = {"alone": 0, "wait5": 5, "wait10": 10}  # by model
NOISE_MS = 2.0  # between two medians of the same thing, on machines like these

HEAD = """
providers:
  sim: {{kind: openai, url: "{url}", key: "${{SIM_KEY}}"}}
models:
"""
ROUTES = 'routes:\n  - {name: all, match: ["*"], to: requested}\n'


def config(url: str) -> str:
    """Give the gateway's file: one model for each setting, all of the same behaviour at the provider."""
    models = ""
    for place, (name, wait_ms) in enumerate(WAITS_MS.items()):
        batch = f", batch: {{max: 64, wait: {wait_ms}ms}}" if wait_ms else ""
        models += f"  {name}: {{provider: sim, id: {provider_model(place)}, price: {{input: 1, output: 0}}{batch}}}\n"
    return HEAD.format(url=url) + models + ROUTES


def provider_model(place: int) -> str:
    """Give the simulator's model of one setting, so that its calls can be told apart."""
    return f"sim-dimensions8-head30ms-seed{place + 1}"


def cpu_s(pid: int) -> float:
    """Give the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Client:
    """One connection that asks for one vector at a time, in base64, as the official clients do."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self._reader = reader
        self._writer = writer
        self._number = number

    async def ask(self, model: str) -> float:
        """Give how long the answer took, in ms."""
        text = f"a sentence of some length, as it stands in documents, number {self._number}"
        body = json.dumps({"model": model, "input": text, "encoding_format": "base64"}).encode()
        head = f"POST /v1/embeddings HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        began_at = time.monotonic()
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        length = int(answer.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r")[0])
        await self._reader.readexactly(length)
        return (time.monotonic() - began_at) * 1000

    def close(self) -> None:
        self._writer.close()


@dataclass
class Seen:
    """What one setting has shown: waits of clients, waits of one on its own, in ms; the gateway's CPU in s."""

    wait_ms: int
    waits_ms: list[float] = field(default_factory=list)
    lone_ms: list[float] = field(default_factory=list)
    cpu_s: float = 0.0


async def load(gateway: GatewayProcess) -> dict[str, Seen]:
    """Run all rounds, the settings in turns, so that what else the machine does falls on all alike."""
    found = {model: Seen(wait_ms) for model, wait_ms in WAITS_MS.items()}
    clients = [
        Client(*await asyncio.open_connection("127.0.0.1", gateway.port), number=number) for number in range(CLIENTS)
    ]
    for model in found:  # code is warm
        await asyncio.gather(*(client.ask(model) for client in clients))
    for _ in range(ROUNDS):
        for model, seen in found.items():
            before_s = sum(map(cpu_s, gateway.all_pids))
            seen.waits_ms += await asyncio.gather(*(client.ask(model) for client in clients))
            seen.cpu_s += sum(map(cpu_s, gateway.all_pids)) - before_s
            seen.lone_ms += [await clients[0].ask(model) for _ in range(LONE)]
    for client in clients:
        client.close()
    return found


def measure(gateway: GatewayProcess, simulator: SimulatorProcess) -> bool:
    """Run and print; gives whether the bounds hold."""
    is_good, found = True, uvloop.run(load(gateway))
    base_ms, base_lone_ms = (statistics.median(one) for one in (found["alone"].waits_ms, found["alone"].lone_ms))
    for place, (model, seen) in enumerate(found.items()):
        each = (simulator.stats(provider_model(place))["requests"] - LONE * ROUNDS) / (ROUNDS + 1)
        p50, lone = statistics.median(seen.waits_ms), statistics.median(seen.lone_ms)
        p99 = sorted(seen.waits_ms)[int(0.99 * len(seen.waits_ms))]
        cpu_us = seen.cpu_s / (CLIENTS * ROUNDS) * 1e6
        print(
            f"{model:7s} {each:5.1f} calls for {CLIENTS}; p50 {p50:5.1f} ms ({p50 - base_ms:+.1f}), p99 {p99:5.1f} ms;"
            f" on its own p50 {lone:5.1f} ms ({lone - base_lone_ms:+.1f}); gateway {cpu_us:4.0f} µs CPU a call",
            flush=True,
        )
        if seen.wait_ms:
            slowest = max(p50 - base_ms, lone - base_lone_ms)
            is_good = is_good and each <= MOST_CALLS and slowest <= seen.wait_ms + NOISE_MS
    return is_good


def main() -> int:
    """Measure one gateway over one simulator."""
    with (
        tempfile.TemporaryDirectory() as folder,
        SimulatorProcess(Path(folder)) as simulator,
        running_gateway(Path(folder) / "gateway", config(simulator.url)) as gateway,
    ):
        return 0 if measure(gateway, simulator) else 1


if __name__ == "__main__":
    sys.exit(main())

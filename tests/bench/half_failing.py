"""A primary that fails half of its calls, and one that fails all: `python -m tests.bench.half_failing [requests]`.

The gateway over the simulator, which answers 500 to half of the calls of one model and to none of the other's, at random. Every
other request is streamed, 64 run at a time. Prints how many were answered, whole and well, and what it took: attempts,
retries, calls at each model. Then the same with nobody well, for the calls that an outage brings a provider. Exits with 1
where fewer than 99.95 % were answered, or an outage brought more calls than 1.2 a request and ten. The clients run in a
process of their own.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import uvloop

from tests.support.gateway import GatewayProcess, running_gateway
from tests.support.http import fetch
from tests.support.simulator import SimulatorProcess

REQUESTS, CONCURRENCY = 20_000, 64
LEAST_ANSWERED = 0.9995

STEADY = "sim-tokens3-first0.01s"
FLAKY = f"{STEADY}-error500-error_share50%"
DOWN = f"{STEADY}-error500"
MODELS = {"steady": STEADY, "flaky": FLAKY, "down": DOWN, "down-too": f"{DOWN}-seed2"}

POOLS = {
    "pool-mate": "{members: [flaky, steady]}",
    "pool-mate, no breaker": "{members: [flaky, steady], breaker: none}",
    "round robin, no breaker": "{members: [flaky, steady], breaker: none, balance: round_robin}",
    "pool behind": "{members: [flaky], then: steady}",
    "outage": "{members: [down], breaker: none}",
    "outage of two": "{members: [down, down-too], breaker: none}",
    "outage, with breakers": "{members: [down, down-too]}",
}

BODY = (
    """
providers:
  sim: {{kind: openai, url: "{url}", key: "${{SIM_KEY}}"}}
models:
"""
    + "".join(
        f"  {name}: {{{{provider: sim, id: '{id}', price: {{{{input: 1, output: 2}}}}, quality: 0.5}}}}\n"
        for name, id in MODELS.items()
    )
    + """
pools:
  main: {pool}
routes:
  - {{name: all, match: [auto], to: main}}
observe: {{log: {{level: error}}}}
"""
)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_stream: bool) -> str:
    """Give `ok`, or what was wrong."""
    body = json.dumps({"model": "auto", "stream": is_stream, "messages": [{"role": "user", "content": "go"}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    writer.write(head.encode() + b"\r\n" + body)
    answer = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = answer[9:12].decode()
    if b"\r\ntransfer-encoding: chunked\r\n" in answer:
        whole = await reader.readuntil(b"0\r\n\r\n")
        is_good = b"data: [DONE]" in whole and b'"finish_reason":"stop"' in whole.replace(b": ", b":")
    else:
        whole = await reader.readexactly(int(answer.partition(b"\r\ncontent-length: ")[2].partition(b"\r")[0]))
        is_good = b'"choices"' in whole
    return "ok" if status == "200" and is_good else status


async def load(port: int, count: int) -> Counter[str]:
    """Ask so often; gives the ends and their numbers."""
    left, ends = iter(range(count)), Counter[str]()

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in left:
            ends[await ask(reader, writer, is_stream=number % 2 == 0)] += 1
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(CONCURRENCY):
            group.create_task(client())
    return ends


def load_apart(port: int, count: int) -> dict[str, int]:
    """Do `load` in another process."""
    command = [sys.executable, "-m", "tests.bench.half_failing", str(port), str(count)]
    return dict(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


def figures(gateway: GatewayProcess, family: str) -> dict[str, int]:
    """Give the values of a metric's series, by their labels, where they are not 0."""
    found = {}
    for line in fetch(gateway.admin_address, "/metrics").body.decode().splitlines():
        if line.startswith(family + "{") and (value := float(line.rsplit(" ", 1)[1])):
            found[line.rsplit(" ", 1)[0].removeprefix(family)] = int(value)
    return found


def measure(folder: Path, simulator: SimulatorProcess, name: str, count: int) -> bool:
    """Run and print one case; gives whether its bound holds."""
    before = {model: simulator.stats(id).get("requests", 0) for model, id in MODELS.items()}
    with running_gateway(folder, BODY.format(url=simulator.url, pool=POOLS[name])) as gateway:
        since = time.monotonic()
        ends = load_apart(gateway.port, count)
        took_s = time.monotonic() - since
        attempts, retries = figures(gateway, "gateway_attempts_total"), figures(gateway, "gateway_retries_total")
    calls: dict[str, Any] = {
        model: called
        for model, id in MODELS.items()
        if (called := simulator.stats(id).get("requests", 0) - before[model])
    }
    answered = ends.get("ok", 0) / count
    print(f"{name}: {answered:.4%} of {count} answered, {ends}, {count / took_s:.0f}/s")
    print(f"    calls {calls}, attempts {attempts}, retries {retries}", flush=True)
    if name.startswith("outage"):
        most = 1.2 * count + 10
        print(f"    {sum(calls.values()) / count:.4f} calls a request (at most {most / count:.4f})", flush=True)
        return sum(calls.values()) <= most and answered == 0.0
    return answered >= LEAST_ANSWERED


def main() -> int:
    """Measure, or be the clients of one case where two arguments say so."""
    if len(sys.argv) > 2:
        print(json.dumps(uvloop.run(load(int(sys.argv[1]), int(sys.argv[2])))))
        return 0
    count = int(sys.argv[1]) if len(sys.argv) > 1 else REQUESTS
    with tempfile.TemporaryDirectory() as folder, SimulatorProcess(Path(folder)) as simulator:
        held = [measure(Path(folder) / f"gateway-{at}", simulator, name, count) for at, name in enumerate(POOLS)]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())

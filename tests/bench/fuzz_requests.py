"""A fuzzer over the bytes of requests: `python -m tests.bench.fuzz_requests --seconds 600 --seed 1`.

Right requests, and wrong ones of every kind that is known, are spoiled in a few places and sent in pieces, the same for
the same seed. Of the gateway it is asked that every answer is in the form of HTTP and of our errors, that none is a
failure of its own, that in between and in the end others are served, and that nothing is left: no request in flight, no
connection, no memory, no traceback.
"""

import argparse
import contextlib
import json
import random
import re
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import count, pairwise, takewhile
from pathlib import Path
from typing import Any

from tests.support.bad_requests import ACCEPTED, CHAT, CHUNK, HEAD, LAST, NOT_SERVED, REJECTED, chunked, post
from tests.support.gateway import GatewayProcess, running_gateway
from tests.support.http import Connection, Truncated, chat_body, fetch

FIRST_S, NEXT_S = 1.5, 0.1  # how long an answer is waited for: beyond the clocks of the configuration; for company
CLIENTS = 12
KEPT = 2 * CLIENTS  # connections to the two providers that may wait for more
WARM = 1000  # cases before memory is looked at
CONFIG = """
providers:
  sim: {kind: simulator, batch: {max: 8, wait: 2ms}}
  far: {kind: simulator, speaks: [messages]}
models:
  auto: {provider: sim, price: {input: 1, output: 2}, quality: 0.5, simulate: {tokens: 3}}
  far: {provider: far, price: {input: 1, output: 2}, quality: 0.5, simulate: {tokens: 3}}
  sim-*: {provider: sim, price: {input: 1, output: 2}, quality: 0.5}
routes:
  - {name: files, paths: ["/v1/files*", "/v1/audio/*"], provider: sim}
  - {name: direct, match: ["*"], to: requested}
"""
SERVER = "limits: {body: 256KiB, head_timeout: 500ms, body_timeout: 500ms}"
SERVED = frozenset({200, 400, 404, 405, 408, 413, 414, 415, 417, 421, 431})

Change = Callable[[random.Random, bytes], bytes]


# What may be done to a request


def flip(rng: random.Random, data: bytes) -> bytes:
    spoiled = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        spoiled[rng.randrange(len(spoiled))] = rng.choice([rng.randrange(256), *b'\r\n\x00 :;,\t"{}[]'])
    return bytes(spoiled)


def insert(rng: random.Random, data: bytes) -> bytes:
    odd = [
        b"\r",
        b"\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\x00",
        b"\xff",
        b" ",
        b"\t",
        b"{",
        b'"',
        b"\\u",
        b"a" * 9000,
        b"[" * 5000,
    ]
    at = rng.randint(0, len(data))
    return data[:at] + rng.choice([*odd, rng.randbytes(rng.randint(1, 20))]) + data[at:]


def remove(rng: random.Random, data: bytes) -> bytes:
    start = rng.randint(0, len(data))
    return data[:start] + data[start + rng.randint(1, 40) :]


def repeat(rng: random.Random, data: bytes) -> bytes:
    start = rng.randint(0, len(data))
    return data[:start] + data[start : start + rng.randint(1, 100)] * rng.randint(2, 40) + data[start:]


def truncate(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randint(1, len(data))]


def add_header(rng: random.Random, data: bytes) -> bytes:
    lines = [
        b"content-length: 5",
        b"content-length: 0",
        b"transfer-encoding: chunked",
        b"transfer-encoding: gzip",
        b"connection: close",
        b"connection: upgrade\r\nupgrade: websocket",
        b"expect: 100-continue",
        b"host: y",
        b"via: 1.1 other",
        b"content-encoding: gzip",
        b"x-request-id: \xff",
        b"authorization: Basic x",
        b"x: " + b"y" * rng.choice([10, 20_000]),
        b"\r\n".join([b"x: y"] * rng.choice([50, 200])),
    ]
    return data.replace(b"\r\n", b"\r\n" + rng.choice(lines) + b"\r\n", 1)


def follow(rng: random.Random, data: bytes) -> bytes:
    return data + rng.choice(list(ACCEPTED.values()) + [case for case, _ in REJECTED.values()])


def nothing(rng: random.Random, data: bytes) -> bytes:
    return data


CHANGES: tuple[Change, ...] = (flip, flip, insert, insert, remove, repeat, truncate, add_header, follow, nothing)


def streamed() -> bytes:
    body = json.dumps(chat_body("sim-tokens5", stream=True)).encode()
    return post(framing=b"content-length: %d\r\n" % len(body), body=body)


def to_path(path: bytes, body: dict[str, Any], model: str = "auto") -> bytes:
    """Give a right request in another dialect."""
    data = json.dumps({"model": model, **body}).encode()
    return post(head=HEAD.replace(CHAT, path), framing=b"content-length: %d\r\n" % len(data), body=data)


def in_other_dialects() -> Iterator[bytes]:
    """Give requests whose answers are translated, gathered, estimated, or passed through."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    told = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "x"},
    ]
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
    for model in ("auto", "far"):
        yield to_path(CHAT, {"messages": [{"role": "user", "content": "x"}, *told], "stream": True}, model)
        said = [{"role": "user", "content": [{"type": "text", "text": "x"}, picture]}]
        yield to_path(b"/v1/messages", {"max_tokens": 5, "messages": said, "system": "s"}, model)
        yield to_path(b"/v1/messages/count_tokens", {"messages": said}, model)
        yield to_path(
            b"/v1/responses", {"input": "x", "stream": True, "tools": [{"type": "function", "name": "f"}]}, model
        )
        yield to_path(b"/v1/responses", {"input": [{"role": "user", "content": "x"}], "instructions": "i"}, model)
        yield to_path(b"/v1/completions", {"prompt": "x", "echo": False, "suffix": None}, model)
    yield to_path(b"/v1/embeddings", {"input": ["a", "b"], "encoding_format": "base64"})
    yield to_path(b"/v1/embeddings", {"input": [[1, 2], [3]]})
    upload = b"POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream\r\n"
    yield upload + b"content-length: 9\r\n\r\nsome data"
    yield upload + b"content-length: 70000\r\n\r\n" + b"x" * 70_000
    yield upload + b"transfer-encoding: chunked\r\n\r\n4\r\nsome\r\n" + LAST
    yield b"GET /v1/files/a?b=c HTTP/1.1\r\nhost: x\r\n\r\n"
    yield b"DELETE /v1/files/a HTTP/1.1\r\nhost: x\r\n\r\n"


RIGHT = [
    *ACCEPTED.values(),
    *in_other_dialects(),
    streamed(),
    post(b"expect: 100-continue\r\n"),
    chunked(CHUNK + LAST),
    b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
    b"HEAD /health HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /v1/models/auto HTTP/1.0\r\n\r\n",
]
WRONG = [data for data, _ in (*REJECTED.values(), *NOT_SERVED.values())]


def request(seed: int, number: int) -> tuple[bytes, random.Random]:
    """Give the bytes of a case."""
    rng = random.Random(f"{seed}/{number}")
    data = rng.choice(RIGHT if rng.random() < 0.7 else WRONG)
    for _ in range(rng.choice([1, 1, 2, 3])):
        data = rng.choice(CHANGES)(rng, data) or b"x"
    return data, rng


# What is asked of the answers


@dataclass
class Tally:
    """What came of it."""

    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    silent: int = 0  # the request was never whole, and its clocks had not run out when we left
    faults: list[str] = field(default_factory=list)


def play(gateway: GatewayProcess, seed: int, number: int, tally: Tally) -> None:
    """Send one case and judge every answer to it."""
    data, rng = request(seed, number)
    answers = 0
    with Connection(gateway.address, timeout_s=FIRST_S) as connection:
        with contextlib.suppress(ConnectionError):
            pieces = sorted({0, len(data), *(rng.randint(0, len(data)) for _ in range(rng.choice([0, 0, 1, 4])))})
            for start, end in pairwise(pieces):
                connection.send(data[start:end])
            if rng.random() < 0.1:
                connection.socket.shutdown(socket.SHUT_WR)
        try:
            while True:
                tally.statuses[_judge(connection, data)] += 1
                answers += 1
                connection.socket.settimeout(NEXT_S)
        except Truncated as end:
            if end.got:
                tally.faults.append(f"case {number}: the answer breaks off: {end.got[:200]!r} to {data[:300]!r}")
        except (TimeoutError, ConnectionError):
            pass
        except (AssertionError, ValueError, KeyError, TypeError) as fault:
            tally.faults.append(f"case {number}: {fault!r} to {data[:300]!r}")
    tally.cases += 1
    tally.silent += answers == 0


def _judge(connection: Connection, data: bytes) -> int:
    """Read one answer and give its status. Raises `AssertionError` where it is not as it should be."""
    head = connection.read_head()
    if head.status == 100:
        return 100
    assert head.status in SERVED, f"status {head.status}"
    assert head.get("x-request-id"), "an answer without an id"
    if b"HEAD" in data:
        raise Truncated(b"")  # whether a body follows depends on what the spoiled bytes asked for
    body = connection.read_body(head)
    if head.status >= 400:
        told = json.loads(body)
        error = told["error"]
        members = {"message", "type"} if told.get("type") == "error" else {"message", "type", "param", "code"}
        assert set(error) == members, body
        assert "Traceback" not in error["message"] and "Error" not in error["message"], body
    return head.status


def serves(gateway: GatewayProcess) -> bool:
    """Whether a right request is answered right."""
    return fetch(gateway.address, "/v1/chat/completions", chat_body("sim-tokens2")).status == 200


def aftermath(gateway: GatewayProcess, rss: int, descriptors: int) -> list[str]:
    """Say what is left once all clients have gone."""
    faults = []
    until = time.monotonic() + 10
    while (left := gateway.fds() - descriptors) > KEPT and time.monotonic() < until:
        time.sleep(0.1)
    if left > KEPT:
        faults.append(f"{left} descriptors are left")
    if rss and gateway.rss() - rss > 24 * 2**20:
        faults.append(f"memory grew by {(gateway.rss() - rss) / 2**20:.1f} MiB")
    if complaint := re.search(r'.*("level":"error"|Traceback)(.*\n){0,40}', gateway.log()):
        faults.append("the log complains: " + complaint[0])
    page = gateway.admin("/metrics").body.decode()
    in_flight = [line for line in page.splitlines() if line.startswith("gateway_requests_in_flight")]
    if any(float(line.split()[-1]) for line in in_flight):
        faults.append(f"requests are still in flight: {in_flight}")
    return faults


def fuzz(gateway: GatewayProcess, seed: int, numbers: Iterable[int]) -> Tally:
    """Play cases, some at a time; gives what came of them, what is left in the end included."""
    tally = Tally()
    assert serves(gateway)
    descriptors, rss = gateway.fds(), 0

    def one(number: int) -> None:
        nonlocal rss
        play(gateway, seed, number, tally)
        if number % 100 == 99 and not serves(gateway):
            tally.faults.append(f"case {number}: others are no longer served")
        if number == WARM:
            rss = gateway.rss()

    with ThreadPoolExecutor(CLIENTS) as clients:
        waiting: set[Future[None]] = set()
        for number in numbers:
            waiting.add(clients.submit(one, number))
            if len(waiting) >= 2 * CLIENTS:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for each in done:
                    each.result()
    for each in waiting:
        each.result()
    tally.faults += aftermath(gateway, rss, descriptors)
    return tally


def main() -> int:
    """Fuzz, and say what came of it; gives 1 where anything was wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        running_gateway(Path(folder), CONFIG, server=SERVER) as gateway,
    ):
        rss = gateway.rss()
        until = time.monotonic() + given.seconds
        tally = fuzz(gateway, given.seed, takewhile(lambda _: time.monotonic() < until, count()))
        print(f"{tally.cases} cases, statuses {dict(sorted(tally.statuses.items()))}, {tally.silent} without an answer")
        print(f"memory {rss / 2**20:.1f} MiB before, {gateway.rss() / 2**20:.1f} MiB behind it")
        print(*(tally.faults or ["nothing was wrong"]), sep="\n")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())

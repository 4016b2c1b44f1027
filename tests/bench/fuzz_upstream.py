"""A fuzzer over the bytes of providers' answers: `python -m tests.bench.fuzz_upstream --seconds 600 --seed 1`.

A provider answers each request with a right answer that was spoiled in a few places, the same for the same seed. Every
request has a number, which stands in every part of its answer. Of the gateway it is asked that each request ends in
time with an answer in the form of HTTP, that an error is in shape, that no other request's number stands in it, that
no failure is the gateway's own, and that in the end nothing is left: connections, memory, tracebacks.
"""

import argparse
import gzip
import json
import random
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from tests.support.gateway import GatewayProcess, running_gateway
from tests.support.hostile_provider import HostileProvider, HostileReply
from tests.support.http import CHAT, Answer, Connection, Truncated, ask, chat_body

LIMIT_S = 8.0  # a request takes no longer: the total clock, and patience
BODY = """
providers: {{hostile: {{kind: openai, url: "{url}"}}}}
models: {{fuzz-*: {{provider: hostile, price: {{input: 1, output: 2}}, quality: 0.5}}}}
defaults:
  breaker: none
  retry: none
  timeout: {{connect: 2s, first_token: 500ms, answer: 500ms, idle: 500ms, total: 4s}}
routes: [{{name: all, match: ["*"], to: requested}}]
"""
SERVER = "limits: {event: 64KiB, answer: 256KiB}"
ALLOWED = {
    "server",
    "content-type",
    "content-length",
    "transfer-encoding",
    "cache-control",
    "connection",
    "date",
    "retry-after",
    "x-accel-buffering",
    "x-request-id",
    "openai-processing-ms",
    "openai-version",
    "openai-model",
}

Change = Callable[[random.Random, bytes], bytes]


# Right answers


def token(number: int) -> str:
    """Give a word that stands for a request; no spoiled byte makes another request's of it."""
    return sha256(str(number).encode()).hexdigest()[:16]


def document(number: int) -> bytes:
    nonce = token(number)
    message = {"role": "assistant", "content": nonce * 3}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return json.dumps({"id": nonce, "choices": choices, "usage": {"prompt_tokens": 3, "completion_tokens": 4}}).encode()


def events(number: int) -> bytes:
    nonce = token(number)
    deltas = [{"role": "assistant"}, *({"content": f"{nonce} {index} "} for index in range(6)), {}]
    chunks = [
        {"id": nonce, "choices": [{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}]}
        for delta in deltas
    ]
    return b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks) + b"data: [DONE]\n\n"


def framed(rng: random.Random, body: bytes, content_type: bytes, number: int) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\nopenai-version: %b\r\n" % (
        content_type,
        token(number).encode(),
    )
    match rng.randrange(3):
        case 0:
            return head + b"content-length: %d\r\n\r\n%b" % (len(body), body)
        case 1:
            return head + b"connection: close\r\n\r\n" + body
        case _:
            parts = [body[start : start + 97] for start in range(0, len(body), 97)]
            chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
            return head + b"transfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


# What may be done to them


def flip(rng: random.Random, data: bytes) -> bytes:
    spoiled = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if spoiled:
            spoiled[rng.randrange(len(spoiled))] = rng.randrange(256)
    return bytes(spoiled)


def insert(rng: random.Random, data: bytes) -> bytes:
    odd = [
        b"\r",
        b"\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\x00",
        b"\x1b[2J",
        b"\xff",
        b": ",
        b"0\r\n\r\n",
        b"\xef\xbb\xbf",
        b"a" * 70_000,
    ]
    at = rng.randint(0, len(data))
    return data[:at] + rng.choice([*odd, rng.randbytes(rng.randint(1, 40))]) + data[at:]


def remove(rng: random.Random, data: bytes) -> bytes:
    start = rng.randint(0, len(data))
    return data[:start] + data[start + rng.randint(1, 60) :]


def repeat(rng: random.Random, data: bytes) -> bytes:
    start = rng.randint(0, len(data))
    return data[:start] + data[start : start + rng.randint(1, 200)] * rng.randint(2, 50) + data[start:]


def truncate(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randint(0, len(data))]


def add_header(rng: random.Random, data: bytes) -> bytes:
    lines = [
        b"content-length: 3",
        b"content-length: -1",
        b"content-length: 99999999",
        b"content-length: 18446744073709551616",
        b"transfer-encoding: chunked",
        b"transfer-encoding: gzip, chunked",
        b"content-encoding: gzip",
        b"content-type: text/html",
        b"content-type: application/json\r\nset-cookie: a=b",
        b"openai-model: \xe9\xff",
        b"openai-model: a\tb",
        b"openai-processing-ms: 1\r\n x-folded: y",
        b"location: http://127.0.0.1:1/",
        b"connection: upgrade\r\nupgrade: h2c",
        b"retry-after: 99999999999999999999",
        b"retry-after: -1",
        b"x: " + b"y" * rng.choice([100, 70_000]),
        b"x: y\r\n" * rng.choice([200, 20_000]) + b"z: z",
    ]
    return data.replace(b"\r\n", b"\r\n" + rng.choice(lines) + b"\r\n", 1)


def other_status(rng: random.Random, data: bytes) -> bytes:
    status = rng.choice(
        [b"000", b"100", b"101", b"103", b"199", b"201", b"204", b"206", b"299", b"301", b"304", b"307"]
    )
    fault = rng.choice([b"400", b"401", b"404", b"413", b"429", b"499", b"501", b"503", b"529", b"599", b"600", b"999"])
    return data.replace(b" 200 ", b" %b " % rng.choice([status, fault]), 1)


def other_version(rng: random.Random, data: bytes) -> bytes:
    return data.replace(
        b"HTTP/1.1", rng.choice([b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b"ICY", b"RTSP/1.0", b"http/1.1"]), 1
    )


def interim(rng: random.Random, data: bytes) -> bytes:
    return (
        rng.choice([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early\r\nx: y\r\n\r\n"]) * rng.choice([1, 5, 5000])
        + data
    )


def surplus(rng: random.Random, data: bytes) -> bytes:
    return data + rng.choice(
        [data, b"x", b"\r\n", b"\x00" * 9, b"HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n" + token(0).encode()]
    )


def trailers(rng: random.Random, data: bytes) -> bytes:
    return data.replace(b"\r\n0\r\n\r\n", b"\r\n0\r\ncontent-type: text/evil\r\nopenai-model: evil\r\n\r\n")


def extensions(rng: random.Random, data: bytes) -> bytes:
    return data.replace(b"\r\n61\r\n", b"\r\n61;" + b"x" * rng.choice([3, 5000, 100_000]) + b"\r\n")


def other_ends(rng: random.Random, data: bytes) -> bytes:
    return data.replace(b"\n\n", rng.choice([b"\r\r", b"\r\n\r\n", b"\n\r\n", b"\n", b"\n\n\n", b""]))


def in_the_text(rng: random.Random, data: bytes) -> bytes:
    words = [
        b"NaN",
        b"1e999",
        b"[" * 20_000,
        b'"\\ud800"',
        b"null",
        b"{}",
        b'{"error":{}}',
        b"9" * 6000,
        b'"\xff"',
        b"data: [DONE]\n\n",
    ]
    return data.replace(
        rng.choice([b'"assistant"', b'"stop"', b"null", b"0", b'"choices"', b"{"]), rng.choice(words), 1
    )


def compressed(rng: random.Random, data: bytes) -> bytes:
    head, empty, body = data.partition(b"\r\n\r\n")
    return head + empty + gzip.compress(body, mtime=0)


def page(rng: random.Random, data: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 12\r\n\r\n<html>hello\n"


CHANGES: tuple[Change, ...] = (
    flip,
    insert,
    remove,
    repeat,
    truncate,
    add_header,
    other_status,
    other_version,
    interim,
    surplus,
    trailers,
    extensions,
    other_ends,
    in_the_text,
    compressed,
    page,
)


def is_streamed(seed: int, number: int) -> bool:
    return random.Random(f"{seed} {number} stream").random() < 0.5


def deed_of(seed: int, model: str) -> HostileReply:
    """Give what the provider does for a model: `fuzz-NUMBER`, or `fuzz-NUMBER-good`."""
    number = int(model.split("-")[1])
    rng = random.Random(f"{seed} {number}")
    streams = is_streamed(seed, number)
    body, content_type = (events(number), b"text/event-stream") if streams else (document(number), b"application/json")
    answer = framed(rng, body, content_type, number)
    if model.endswith("-good"):
        return HostileReply((answer,), "close" if b"connection: close" in answer else "keep")
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        answer = rng.choice(CHANGES)(rng, answer)
    cuts = sorted(rng.randint(0, len(answer)) for _ in range(rng.choice([0, 0, 1, 3, 20])))
    pieces = tuple(answer[start:end] for start, end in zip([0, *cuts], [*cuts, len(answer)], strict=True))
    whole = b"connection: close" not in answer
    end = rng.choice(["keep", "keep", "keep", "close", "reset", "stall"]) if whole else rng.choice(["close", "reset"])
    return HostileReply(pieces, end, rng.choice([0.0, 0.0, 0.001]) if cuts else 0.0)  # type: ignore[arg-type]


def hostile(seed: int) -> HostileProvider:
    """Give the provider of a seed."""
    return HostileProvider(lambda model: deed_of(seed, model))


# What is asked of the gateway


@dataclass
class Findings:
    """What came of the cases, and what should not have."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    issued: set[str] = field(default_factory=lambda: {token(0)})


def judge(number: int, answer: Answer, issued: Set[str]) -> Iterator[str]:
    """Give what is wrong with an answer; `issued`: the words of all requests so far."""
    shown = " ".join(value for _, value in answer.head.headers)
    words = set(re.findall(r"(?=([0-9a-f]{16}))", answer.body.decode("latin-1") + shown)) - {token(number)}
    if any(word in issued for word in words):  # others add to it meanwhile
        yield "holds something of another request"
    strange = {name for name in answer.head.names if name not in ALLOWED and not name.startswith("x-gateway-")}
    if strange:
        yield f"has the headers {strange}"
    if not shown.isascii() or not shown.isprintable():
        yield f"has a header that is not plain: {shown!r}"
    if answer.status == 200:
        return
    try:
        error = answer.json()["error"] if answer.header("content-type") == "application/json" else None
    except (ValueError, KeyError, TypeError):
        error = None
    if answer.status >= 500 and (
        not isinstance(error, dict) or not re.search("upstream|_timeout", str(error.get("code")))
    ):
        yield f"is a failure of the gateway's own: {answer.status} {answer.body[:200]!r}"
    if not 400 <= answer.status <= 599:
        yield f"has the status {answer.status}"
    try:
        json.loads(answer.body)
    except ValueError:
        yield f"is an error without shape: {answer.body[:100]!r}"


class Client(threading.Thread):
    """Asks case after case on one connection."""

    def __init__(
        self, gateway: GatewayProcess, seed: int, numbers: Iterator[int], findings: Findings, lock: threading.Lock
    ) -> None:
        super().__init__(daemon=True)
        self._gateway = gateway
        self._seed = seed
        self._numbers = numbers
        self._findings = findings
        self._lock = lock
        self._connection: Connection | None = None

    def run(self) -> None:
        while (number := self._next()) is not None:
            self._ask(number, "")
            if number % 5 == 0:
                self._ask(number, "-good")
        if self._connection is not None:
            self._connection.close()

    def _next(self) -> int | None:
        with self._lock:
            number = next(self._numbers, None)
            if number is not None:
                self._findings.issued.add(token(number))
            return number

    def _ask(self, number: int, manner: str) -> None:
        began = time.monotonic()
        faults = []
        status = 0
        try:
            if self._connection is None:
                self._connection = Connection(self._gateway.address, timeout_s=LIMIT_S)
            body = chat_body(f"fuzz-{number}{manner}", stream=is_streamed(self._seed, number))
            self._connection.request("POST", CHAT, body)
            answer = self._connection.read_answer()
            status = answer.status
            faults += judge(number, answer, self._findings.issued)
            if manner and (status != 200 or token(number).encode() not in answer.body):
                faults.append(f"is {status} though nothing is wrong with it: {answer.body[:200]!r}")
            if answer.header("connection") == "close":
                self._connection.close()
                self._connection = None
        except (Truncated, OSError, ValueError, AssertionError) as error:
            faults.append(f"broke off: {error!r}")
            if self._connection is not None:
                self._connection.close()
            self._connection = None
        with self._lock:
            self._findings.statuses[status] += 1
            self._findings.slowest_s = max(self._findings.slowest_s, time.monotonic() - began)
            self._findings.faults += [f"case {number}{manner} {fault}" for fault in faults]


def play(gateway: GatewayProcess, seed: int, numbers: Iterator[int], clients: int = 8) -> Findings:
    """Ask all cases; give what was found."""
    findings, lock = Findings(), threading.Lock()
    threads = [Client(gateway, seed, numbers, findings, lock) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return findings


def aftermath(gateway: GatewayProcess, workers: list[int]) -> Iterator[str]:
    """Give what is wrong when all is over."""
    if gateway.worker_pids != workers:
        yield "a worker was replaced"
    if "Traceback" in gateway.log():
        yield "a traceback in the log: " + gateway.log().partition("Traceback")[2][:2000]
    metrics = gateway.admin("/metrics").body.decode()
    for gauge in ("gateway_requests_in_flight", "gateway_streams_in_flight"):
        if re.search(rf"^{gauge} 0(\.0)?$", metrics, re.MULTILINE) is None:
            yield f"{gauge} is not back at 0"


def for_seconds(seconds: float, first: int = 1) -> Iterator[int]:
    until, number = time.monotonic() + seconds, first
    while time.monotonic() < until:
        yield number
        number += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", type=int, help="show and play one case only")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        hostile(options.seed) as provider,
        running_gateway(Path(folder), BODY.format(url=provider.url), server=SERVER) as gateway,
    ):
        workers = gateway.worker_pids
        if options.case is not None:
            print(deed_of(options.seed, f"fuzz-{options.case}"))
            answer = ask(gateway.address, f"fuzz-{options.case}", stream=is_streamed(options.seed, options.case))
            print(answer, *judge(options.case, answer, set()), sep="\n")
            return 0
        warm = play(gateway, options.seed, iter(range(1, 500)))
        before = gateway.rss(), gateway.fds()
        findings = play(gateway, options.seed, for_seconds(options.seconds, 500))
        time.sleep(1.0)
        faults = [*warm.faults, *findings.faults, *aftermath(gateway, workers)]
        print(f"{findings.statuses.total()} cases, {dict(findings.statuses)}, slowest {findings.slowest_s:.2f} s")
        print(
            f"RSS {before[0] / 2**20:.1f} -> {gateway.rss() / 2**20:.1f} MiB, descriptors {before[1]} -> {gateway.fds()}"
        )
        print(f"{len(faults)} faults", *faults[:30], sep="\n")
        return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

"""A fuzzer over translated answers: `python -m tests.bench.fuzz_translated --seconds 300 --seed 1`.

As `fuzz_upstream`, whose ways to spoil an answer it takes; but the clients speak all dialects, and so do the providers.
Beside what is asked there, a stream that looks complete to its client must have been complete at the provider's.
"""

import argparse
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from tests.bench.fuzz_upstream import CHANGES, LIMIT_S, SERVER, aftermath, for_seconds, framed, token
from tests.support.gateway import GatewayProcess, running_gateway
from tests.support.hostile_provider import HostileProvider, HostileReply
from tests.support.http import Answer, Connection, Truncated

CLIENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
    "messages": ("/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
    "responses": ("/v1/responses", {"input": "hi"}),
    "completions": ("/v1/completions", {"prompt": "hi"}),
    "embeddings": ("/v1/embeddings", {"input": ["hi", "ho"]}),
    "count": ("/v1/messages/count_tokens", {"messages": [{"role": "user", "content": "hi"}]}),
}
WAYS = (
    *((client, provider) for client in ("chat", "messages", "responses", "completions")
      for provider in ("chat", "messages", "responses") if client != provider),
    ("embeddings", "chat"),
    ("count", "messages"),
)  # fmt: skip
BODY = """
providers:
  chat: {{kind: openai, url: "{url}", speaks: [chat, embeddings], batch: {{max: 8, wait: 5ms}}}}
  messages: {{kind: anthropic, url: "{url}"}}
  responses: {{kind: openai, url: "{url}", speaks: [responses]}}
models:
  chat-*: {{provider: chat, price: {{input: 1, output: 2}}, quality: 0.5}}
  messages-*: {{provider: messages, price: {{input: 1, output: 2}}, quality: 0.5}}
  responses-*: {{provider: responses, price: {{input: 1, output: 2}}, quality: 0.5}}
defaults:
  breaker: none
  retry: none
  timeout: {{connect: 2s, first_token: 500ms, answer: 500ms, idle: 500ms, total: 4s}}
routes: [{{name: all, match: ["*"], to: requested}}]
"""
DONE = {
    "chat": r"^data: \[DONE\]$",
    "completions": r"^data: \[DONE\]$",
    "messages": r"^event: message_stop$",
    "responses": r"^event: response\.(completed|incomplete)$",
}
ENDED = {
    "chat": rb'\[DONE\]|"finish_reason": "',
    "messages": rb'message_stop|"stop_reason": "',
    "responses": rb"response\.completed|response\.incomplete",
}
"""What stands in a provider's stream that is complete."""


# Right answers


def told(provider: str, client: str, number: int) -> tuple[bytes, bytes]:
    """Give a provider's document and its stream; every part has the word of the request."""
    nonce = token(number)
    if client == "embeddings":
        vectors = [{"object": "embedding", "index": i, "embedding": [0.5, i]} for i in range(2)]
        whole: dict[str, Any] = {
            "object": "list",
            "model": nonce,
            "data": vectors,
            "usage": {"prompt_tokens": 3, "total_tokens": 3},
        }
        return json.dumps(whole).encode(), b""
    if client == "count":
        return json.dumps({"input_tokens": 5, "note": nonce}).encode(), b""
    match provider:
        case "chat":
            return _chat(nonce)
        case "messages":
            return _message(nonce)
    return _response(nonce)


def _chat(nonce: str) -> tuple[bytes, bytes]:
    call = {"id": nonce, "type": "function", "function": {"name": nonce, "arguments": '{"a":1}'}}
    message = {"role": "assistant", "content": nonce * 3, "tool_calls": [call]}
    usage = {"prompt_tokens": 3, "completion_tokens": 4}
    whole = {
        "id": nonce,
        "created": 5,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
    }
    deltas: list[dict[str, Any]] = [{"role": "assistant"}, *({"content": f"{nonce} {i} "} for i in range(4))]
    deltas.append({"tool_calls": [{"index": 0, **call, "function": {"name": nonce, "arguments": ""}}]})
    deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in ('{"a"', ":1}")]
    events: list[Any] = [
        {"id": nonce, "choices": [{"index": 0, "delta": delta, "finish_reason": None if delta else "tool_calls"}]}
        for delta in (*deltas, {})
    ]
    lines = [*map(json.dumps, [*events, {"id": nonce, "choices": [], "usage": usage}]), "[DONE]"]
    return json.dumps({**whole, "usage": usage}).encode(), "".join(f"data: {line}\n\n" for line in lines).encode()


def _message(nonce: str) -> tuple[bytes, bytes]:
    frame = {"id": nonce, "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
    usage = {"input_tokens": 3, "output_tokens": 4}
    call = {"type": "tool_use", "id": nonce, "name": nonce, "input": {"a": 1}}
    content = [{"type": "thinking", "thinking": nonce, "signature": "s"}, {"type": "text", "text": nonce * 3}, call]
    whole = {**frame, "content": content, "stop_reason": "tool_use", "usage": usage}
    starts = [{"type": "thinking", "thinking": ""}, {"type": "text", "text": ""}, {**call, "input": {}}]
    deltas = [
        [{"type": "thinking_delta", "thinking": nonce}, {"type": "signature_delta", "signature": "s"}],
        [{"type": "text_delta", "text": f"{nonce} {i} "} for i in range(4)],
        [{"type": "input_json_delta", "partial_json": part} for part in ('{"a"', ":1}")],
    ]
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**frame, "content": [], "stop_reason": None, "usage": usage}}
    ]
    for index, (start, parts) in enumerate(zip(starts, deltas, strict=True)):
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += [{"type": "content_block_delta", "index": index, "delta": part} for part in parts]
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 4}})
    events.append({"type": "message_stop"})
    return json.dumps(whole).encode(), _named(events)


def _response(nonce: str) -> tuple[bytes, bytes]:
    words = {"id": "m1", "type": "message", "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": nonce * 3, "annotations": []}]}  # fmt: skip
    call = {
        "id": "f1",
        "type": "function_call",
        "call_id": nonce,
        "name": nonce,
        "arguments": '{"a":1}',
        "status": "completed",
    }
    usage = {"input_tokens": 3, "output_tokens": 4}
    frame = {"id": nonce, "object": "response", "created_at": 5, "model": "m"}
    whole = {**frame, "status": "completed", "output": [words, call], "usage": usage}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**frame, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**words, "content": []}},
        *({"type": "response.output_text.delta", "item_id": "m1", "output_index": 0, "content_index": 0, "delta": nonce}
          for _ in range(3)),
        {"type": "response.output_item.done", "output_index": 0, "item": words},
        {"type": "response.output_item.added", "output_index": 1, "item": {**call, "arguments": ""}},
        *({"type": "response.function_call_arguments.delta", "item_id": "f1", "output_index": 1, "delta": part}
          for part in ('{"a"', ":1}")),
        {"type": "response.output_item.done", "output_index": 1, "item": call},
        {"type": "response.completed", "response": whole},
    ]  # fmt: skip
    return json.dumps(whole).encode(), _named(events)


def _named(events: list[dict[str, Any]]) -> bytes:
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()


# What may be done to what is said


def other_value(rng: random.Random, data: bytes) -> bytes:
    """Put another value where some member has one."""
    values = b'null|-1|1000000000|1e300|1e999|18446744073709551616|""|"odd"|{}|[]|[[]]|true|"\\ud800"|"\xff"|[{}]|{"type":"odd"}'
    places = list(re.finditer(rb': ("[^"]*"|\d+|null|\{\}|\[\])', data))
    if not places:
        return data
    place = rng.choice(places)
    return data[: place.start() + 2] + rng.choice(values.split(b"|")) + data[place.end() :]


def other_order(rng: random.Random, data: bytes) -> bytes:
    """Drop, double or exchange events."""
    events = data.split(b"\n\n")
    first, second = rng.randrange(len(events)), rng.randrange(len(events))
    match rng.randrange(3):
        case 0:
            del events[first]
        case 1:
            events.insert(second, events[first])
        case _:
            events[first], events[second] = events[second], events[first]
    return b"\n\n".join(events)


def without_a_member(rng: random.Random, data: bytes) -> bytes:
    places = list(re.finditer(rb'"\w+": ("[^"]*"|\d+|null), ', data))
    return data if not places else (place := rng.choice(places), data[: place.start()] + data[place.end() :])[1]


def error_midway(rng: random.Random, data: bytes) -> bytes:
    events = data.split(b"\n\n")
    odd = [b'data: {"error":{"message":"x"}}', b'event: error\ndata: {"type":"error","error":{"type":"x","message":"y"}}',
           b'event: response.failed\ndata: {"type":"response.failed","response":{"error":{"message":"z"}}}', b'data: {"error":"x"}']  # fmt: skip
    events.insert(rng.randrange(len(events)), rng.choice(odd))
    return b"\n\n".join(events)


SAID = (other_value, other_value, other_value, other_order, other_order, without_a_member, error_midway)


def asked(seed: int, number: int) -> tuple[str, str, bool]:
    """Give client, provider, and whether it streams."""
    rng = random.Random(f"{seed} {number} way")
    client, provider = rng.choice(WAYS)
    return client, provider, rng.random() < 0.7 and client not in ("embeddings", "count")


def deed_of(seed: int, model: str) -> HostileReply:
    """Give what the provider does for a model: `PROVIDER-NUMBER`, or `PROVIDER-NUMBER-good`."""
    number = int(model.split("-")[1])
    rng = random.Random(f"{seed} {number}")
    client, provider, streams = asked(seed, number)
    document, stream = told(provider, client, number)
    body = stream if streams else document
    is_good = model.endswith("-good")
    if not is_good:
        for _ in range(rng.choice([0, 1, 1, 2, 4])):
            body = rng.choice(SAID)(rng, body)
    answer = framed(rng, body, b"text/event-stream" if streams else b"application/json", number)
    if is_good:
        return HostileReply((answer,), "close" if b"connection: close" in answer else "keep")
    if rng.random() < 0.4:
        answer = rng.choice(CHANGES)(rng, answer)
    cuts = sorted(rng.randint(0, len(answer)) for _ in range(rng.choice([0, 0, 1, 3, 20])))
    pieces = tuple(answer[start:end] for start, end in zip([0, *cuts], [*cuts, len(answer)], strict=True))
    end = rng.choice(["keep", "keep", "close", "reset", "stall"]) if b"connection: close" not in answer else "close"
    return HostileReply(pieces, end)  # type: ignore[arg-type]


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


def play_one(gateway: GatewayProcess, seed: int, number: int, manner: str, findings: Findings) -> None:
    """Ask one case, and judge its answer."""
    began = time.monotonic()
    client, provider, streams = asked(seed, number)
    path, fields = CLIENTS[client]
    model = f"{provider}-{number}{manner}"
    body = {"model": model, **fields, **({"stream": True} if streams else {})}
    faults: list[str] = []
    status = 0
    try:
        with Connection(gateway.address, timeout_s=LIMIT_S) as connection:
            connection.request("POST", path, body)
            answer = connection.read_answer()
        status = answer.status
        sent = b"".join(deed_of(seed, model).pieces)
        faults += judge(client, provider, answer, sent, streams=streams)
        if manner and (status != 200 or (token(number).encode() not in answer.body and client != "count")):
            faults.append(f"is {status} though nothing is wrong with it: {answer.body[:300]!r}")
        if manner and streams and not re.search(DONE[client], answer.body.decode(), re.MULTILINE):
            faults.append(f"does not end though it was whole: {answer.body[-300:]!r}")
    except (Truncated, OSError, ValueError, AssertionError) as error:
        faults.append(f"broke off: {error!r}")
    findings.statuses[status] += 1
    findings.slowest_s = max(findings.slowest_s, time.monotonic() - began)
    findings.faults += [
        f"case {number}{manner} ({client} of {provider}, stream: {streams}) {fault}" for fault in faults
    ]


def judge(client: str, provider: str, answer: Answer, sent: bytes, *, streams: bool) -> list[str]:
    """Say what is wrong with an answer to what a provider has sent."""
    if answer.status == 200 and streams:
        return _judge_stream(client, provider, answer.body.decode("utf-8", "surrogateescape"), sent)
    try:
        document = json.loads(answer.body.decode("utf-8", "replace"))  # of one dialect: bytes pass
    except ValueError:
        return [f"is no JSON: {answer.status} {answer.body[:200]!r}"]
    if answer.status == 200:
        return []
    if client in ("embeddings", "count") and answer.status < 500:
        return []  # of one dialect: a refusal is the provider's own
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict) or not 400 <= answer.status <= 599:
        return [f"is an error without shape: {answer.status} {answer.body[:200]!r}"]
    if answer.status == 500 and b" 500 " not in sent[:16]:
        return [f"is a failure of the gateway's own: {answer.body[:200]!r}"]
    return []


def _judge_stream(client: str, provider: str, text: str, sent: bytes) -> list[str]:
    faults = []
    ends = len(re.findall(DONE[client], text, re.MULTILINE))
    if ends > 1:
        faults.append(f"ends {ends} times")
    unframed = re.sub(rb"\r\n[0-9a-f]+\r\n", b"", sent)
    if ends and not re.search(ENDED[provider], sent) and not re.search(ENDED[provider], unframed):
        faults.append(f"looks complete though it is not: {text[-200:]!r} of {sent[-200:]!r}")
    for event in text.split("\n\n"):
        if event.strip("\r\n") and not event.startswith(("data: ", "event: ", ":")):
            faults.append(f"holds what is no event: {event[:100]!r}")
        data = event.partition("data: ")[2]
        if data and data != "[DONE]":
            try:
                json.loads(data)
            except ValueError:
                faults.append(f"holds an event that is no JSON: {data[:100]!r}")
    if not ends and not re.search(r'"error"', text):
        faults.append(f"ends without a word: {text[-200:]!r}")
    return faults


def play(gateway: GatewayProcess, seed: int, numbers: Any, clients: int = 8) -> Findings:
    """Ask all cases; give what was found."""
    findings = Findings()

    def ask(number: int) -> None:
        play_one(gateway, seed, number, "", findings)
        if number % 5 == 0:
            play_one(gateway, seed, number, "-good", findings)

    with ThreadPoolExecutor(clients) as pool:
        while some := list(islice(numbers, 10 * clients)):
            list(pool.map(ask, some))
    return findings


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
            print(deed_of(options.seed, f"x-{options.case}"))
        numbers = iter([options.case]) if options.case is not None else for_seconds(options.seconds, 500)
        warm = play(gateway, options.seed, iter(range(1, 300 if options.case is None else 1)))
        before = gateway.rss(), gateway.fds()
        findings = play(gateway, options.seed, numbers)
        time.sleep(1.0)
        faults = [*warm.faults, *findings.faults, *aftermath(gateway, workers)]
        print(f"{findings.statuses.total()} cases, {dict(findings.statuses)}, slowest {findings.slowest_s:.2f} s")
        print(f"RSS {before[0] / 2**20:.1f} -> {gateway.rss() / 2**20:.1f} MiB, fds {before[1]} -> {gateway.fds()}")
        print(f"{len(faults)} faults", *faults[:30], sep="\n")
        return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

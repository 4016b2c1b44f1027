"""What translating a stream costs, beside passing it through: CPU time for each event.

    .venv/bin/python -m tests.bench.bench_translate

Two views. `codec`: the dialects' code alone. `relay`: with framing, holding back and a client's socket, as a worker has
it: the bytes come in reads of one event each, as from a model that writes, and go out over a Unix socket pair that another
process reads. The two take turns, and the best round of each counts, because machines are shared.
"""

import asyncio
import json
import multiprocessing
import socket
import sys
import time
from collections.abc import Callable

from gateway.core.chat import ChatRequest
from gateway.core.exchange import Meter
from gateway.dialects import anthropic_messages, openai_chat
from gateway.dialects.base import Dialect
from gateway.dialects.bridge import bridge
from gateway.streaming.relay import Codec, EventStream
from tests.support.streams import FakeSource

EVENTS = 2_000
ROUNDS = 12
WORDS = (" the", " quick", "\n\nbrown", ' "fox"', " jumps", " over ü", " lazy", " dogs.")


def chat_events() -> list[bytes]:
    """Return a stream of chat completions."""

    def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        body = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        return b"data: %b\n\n" % json.dumps(body, separators=(",", ":")).encode()

    texts = [chunk({"content": WORDS[at % len(WORDS)]}) for at in range(EVENTS)]
    return [chunk({"role": "assistant", "content": ""}), *texts, chunk({}, "stop"), b"data: [DONE]\n\n"]


def message_events() -> list[bytes]:
    """Return a stream of messages."""

    def event(kind: str, **more: object) -> bytes:
        data = json.dumps({"type": kind, **more}, separators=(",", ":")).encode()
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)

    message = {"id": "msg_1", "model": "m", "content": [], "usage": {"input_tokens": 9, "output_tokens": 1}}
    texts = [
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": WORDS[at % len(WORDS)]})
        for at in range(EVENTS)
    ]
    return [
        event("message_start", message=message),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *texts,
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": EVENTS}),
        event("message_stop"),
    ]


def request_of(client: Dialect) -> ChatRequest:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True, "max_tokens": 9}
    return client.decode_request(json.dumps(body).encode())


def codec_cpu_us(make: Callable[[], Codec], stream: list[bytes]) -> float:
    """Return the CPU time for each event in the codec alone, an event at a time."""
    codec = make()
    begun = time.process_time()
    for event in stream:
        codec.forward(event)
    return (time.process_time() - begun) / len(stream) * 1e6


class SocketReply:
    """A client's socket as the gateway writes to it: a chunk of HTTP for each write."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.on_drain: Callable[[], None] | None = None

    def write(self, data: bytes) -> bool:
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        return True


async def relay_cpu_us(make: Callable[[], Codec], stream: list[bytes], transport: asyncio.Transport) -> float:
    """Return the CPU time for each event of a whole relay, a read and a write of a socket for each."""
    source = FakeSource()
    source.sink = EventStream(source, make(), 2**20)
    near, far = socket.socketpair()
    near.setblocking(False)
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    left = len(stream)
    for event in stream[:3]:
        source.send(event)

    def readable() -> None:
        nonlocal left
        source.send(near.recv(65536))
        left -= 1
        if left > 3:
            far.send(stream[-left])
        elif not done.done():
            done.set_result(None)

    pump = asyncio.ensure_future(source.sink.pump(SocketReply(transport), None))
    await asyncio.sleep(0)
    loop.add_reader(near, readable)
    begun = time.process_time()
    left -= 3
    far.send(stream[3])
    await done
    spent = time.process_time() - begun
    loop.remove_reader(near)
    for event in stream[-3:]:
        source.send(event)
    source.end()
    await pump
    near.close()
    far.close()
    return spent / (len(stream) - 6) * 1e6


def swallow(end: socket.socket) -> None:
    """Read all that comes, in a process of its own."""
    while end.recv(2**20):
        pass


async def main() -> None:
    """Print both views for both directions."""
    here, there = socket.socketpair()
    reader = multiprocessing.get_context("fork").Process(target=swallow, args=(there,), daemon=True)
    reader.start()
    there.close()
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=here)
    streams = {openai_chat.NAME: chat_events(), anthropic_messages.NAME: message_events()}
    for provider in (openai_chat, anthropic_messages):
        client = anthropic_messages if provider is openai_chat else openai_chat
        stream = streams[provider.NAME]
        costs: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            for name, speaker in (("pass", provider), ("translate", client)):

                def make(speaker: Dialect = speaker, provider: Dialect = provider) -> Codec:
                    return bridge(speaker, provider).read_stream(Meter(), request_of(speaker), 1.0)

                costs.setdefault(f"codec {name}", []).append(codec_cpu_us(make, stream))
                costs.setdefault(f"relay {name}", []).append(await relay_cpu_us(make, stream, transport))
        best = {name: min(times) for name, times in costs.items()}
        for view in ("codec", "relay"):
            passed, translated = best[f"{view} pass"], best[f"{view} translate"]
            ratio = translated / passed
            sys.stdout.write(
                f"{provider.NAME} to {client.NAME}, {view}: {passed:.2f} -> {translated:.2f} us per event ({ratio:.2f}x)\n"
            )
    transport.close()
    reader.terminate()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())

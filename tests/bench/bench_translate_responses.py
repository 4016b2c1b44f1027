"""What translating a stream from or to OpenAI's responses costs, beside passing it through: CPU time for each event.

    .venv/bin/python -m tests.bench.bench_translate_responses

The codecs alone and whole relays, as `bench_translate.py` has them; the best round of each counts.
"""

import asyncio
import json
import multiprocessing
import socket
import sys

from gateway.core.chat import ChatRequest
from gateway.core.exchange import Meter
from gateway.dialects import anthropic_messages, openai_chat, openai_responses
from gateway.dialects.base import ConversationDialect
from gateway.dialects.bridge import bridge
from gateway.streaming.relay import Codec
from tests.bench.bench_translate import (
    EVENTS,
    ROUNDS,
    WORDS,
    chat_events,
    codec_cpu_us,
    message_events,
    relay_cpu_us,
    swallow,
)

PAIRS = (
    (openai_responses, openai_chat),
    (openai_responses, anthropic_messages),
    (openai_chat, openai_responses),
    (anthropic_messages, openai_responses),
)


def response_events() -> list[bytes]:
    """Return a stream of responses as OpenAI sends it: numbered and padded."""
    events: list[bytes] = []

    def event(kind: str, **more: object) -> None:
        data = json.dumps({"type": kind, "sequence_number": len(events), **more}, separators=(",", ":")).encode()
        events.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), data))

    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    event("response.created", response={"id": "resp_1", "model": "m", "created_at": 1, "output": []})
    event("response.output_item.added", output_index=0, item=message)
    event("response.content_part.added", **place, part={"type": "output_text", "text": ""})
    for at in range(EVENTS):
        text = WORDS[at % len(WORDS)]
        event("response.output_text.delta", **place, delta=text, logprobs=[], obfuscation="x" * (16 - len(text)))
    event("response.output_item.done", output_index=0, item=message)
    usage = {"input_tokens": 9, "output_tokens": EVENTS}
    event("response.completed", response={"id": "resp_1", "status": "completed", "output": [], "usage": usage})
    return events


def request_of(client: ConversationDialect) -> ChatRequest:
    content = {"input": "x"} if client is openai_responses else {"messages": [{"role": "user", "content": "x"}]}
    body = {"model": "m", "stream": True, **content}
    return client.decode_request(json.dumps(body).encode())


async def main() -> None:
    """Print both views for every pair of dialects."""
    here, there = socket.socketpair()
    reader = multiprocessing.get_context("fork").Process(target=swallow, args=(there,), daemon=True)
    reader.start()
    there.close()
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=here)
    streams = {
        openai_chat.NAME: chat_events(),
        anthropic_messages.NAME: message_events(),
        openai_responses.NAME: response_events(),
    }
    for client, provider in PAIRS:
        stream = streams[provider.NAME]
        costs: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            for name, speaker in (("pass", provider), ("translate", client)):

                def make(speaker: ConversationDialect = speaker, provider: ConversationDialect = provider) -> Codec:
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

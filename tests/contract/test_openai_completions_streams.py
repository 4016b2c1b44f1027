"""Completions as providers stream them: whole, byte by byte, and cut at every position."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from gateway.core.errors import GatewayError, StreamFailed, StreamInterrupted, UpstreamError
from gateway.core.exchange import Meter
from gateway.core.usage import Usage
from gateway.dialects import openai_chat, openai_completions
from gateway.dialects.base import ConversationDialect
from gateway.dialects.bridge import bridge
from gateway.streaming.relay import EventStream
from tests.support import sse
from tests.support.loops import VirtualTimeLoop
from tests.support.streams import FakeReply, FakeSource

FOLDER: Final = Path(__file__).parent / "openai_completions"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is in a stream. `tells_unasked`: the usage stands beside the last text, where its server puts it for everybody."""

    texts: tuple[str, ...]
    usage: Usage | None
    fails: bool = False
    tells_unasked: bool = False


FACTS: Final = {
    "llamacpp.sse": Facts(("0, what is the remainder",), Usage(input=4, output=6), tells_unasked=True),
    "text.sse": Facts(
        ('Der Preis ist 5 €,\u2028data: [DONE]\n\n"finish_reason":"stop"',),
        Usage(input=5, output=7),
    ),
    "two_prompts.sse": Facts(("ja", "nein"), Usage(input=5, output=7)),
    "error_in_stream.sse": Facts(("Der",), None, fails=True),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    sent: bytes
    failure: GatewayError | None
    usage: Usage | None


async def relay(
    parts: list[bytes], facts: Facts, client: ConversationDialect = openai_completions, *, wants_usage: bool = True
) -> Outcome:
    body: dict[str, Any] = {"model": "m", "stream": True, "stream_options": {"include_usage": wants_usage}}
    if client is openai_completions:
        body["prompt"] = ["x"] * len(facts.texts)
    else:
        body["messages"] = [{"role": "user", "content": "x"}]
    request = client.decode_request(json.dumps(body).encode())
    source, reply, meter = FakeSource(), FakeReply(), Meter()
    codec = bridge(client, openai_completions).read_stream(meter, request, 7.0)
    stream = source.sink = EventStream(source, codec, 2**20)
    begun = False
    for part in parts:
        source.send(part)
        if not begun and stream._content.done():
            pumping = asyncio.ensure_future(stream.pump(reply, None))
            begun = True
            await asyncio.sleep(0)
    source.end()
    try:
        if begun:
            await pumping
        else:
            await stream.until_content()
    except GatewayError as failure:
        return Outcome(reply.sent, failure, meter.usage)
    return Outcome(reply.sent, None, meter.usage)


def run(name: str, size: int, client: ConversationDialect = openai_completions, *, wants_usage: bool = True) -> Outcome:
    stream = (FOLDER / name).read_bytes()
    parts = [stream[start : start + size] for start in range(0, len(stream), size)]
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(relay(parts, FACTS[name], client, wants_usage=wants_usage))


def texts_of(stream: bytes) -> tuple[str, ...]:
    found: dict[int, str] = {}
    for chunk in sse.chunks_of(stream):
        for choice in chunk.get("choices", []):
            found[choice["index"]] = found.get(choice["index"], "") + choice["text"]
    return tuple(found.values())


def test_every_file_has_its_facts_and_its_line_in_the_page() -> None:
    assert {path.name for path in FOLDER.glob("*.sse")} == set(FACTS)
    page = (FOLDER / "README.md").read_text()
    assert all(f"`{name}`" in page for name in FACTS)


@pytest.mark.parametrize("name", FACTS)
@pytest.mark.parametrize("size", [1, 2, 7, 10**6], ids=lambda size: f"{size} bytes")
def test_a_stream_passes_untouched_for_whom_asked_for_its_usage(name: str, size: int) -> None:
    facts, outcome = FACTS[name], run(name, size)
    assert outcome.sent == (FOLDER / name).read_bytes()
    assert outcome.usage == facts.usage and texts_of(outcome.sent) == facts.texts
    assert isinstance(outcome.failure, StreamFailed) if facts.fails else outcome.failure is None


@pytest.mark.parametrize("name", FACTS)
@pytest.mark.parametrize("size", [1, 2, 7, 10**6], ids=lambda size: f"{size} bytes")
def test_who_did_not_ask_for_usage_sees_no_more_than_the_server_tells_everybody(name: str, size: int) -> None:
    facts, outcome = FACTS[name], run(name, size, wants_usage=False)
    chunks = sse.chunks_of(outcome.sent)
    assert not any(chunk.get("choices") == [] for chunk in chunks)
    assert any("usage" in chunk for chunk in chunks) == facts.tells_unasked
    assert outcome.usage == facts.usage and texts_of(outcome.sent) == facts.texts
    assert sse.is_complete(outcome.sent) != facts.fails


@pytest.mark.parametrize("name", [name for name, facts in FACTS.items() if len(facts.texts) == 1])
@pytest.mark.parametrize("size", [1, 2, 7, 10**6], ids=lambda size: f"{size} bytes")
def test_a_stream_says_the_same_as_chat_completions(name: str, size: int) -> None:
    facts, outcome = FACTS[name], run(name, size, openai_chat)
    assert (sse.text_of(outcome.sent),) == facts.texts
    assert sse.is_complete(outcome.sent) != facts.fails and outcome.usage == facts.usage


@pytest.mark.parametrize("name", FACTS)
def test_cut_at_any_position_a_stream_ends_with_whole_events_and_no_end_that_was_none(name: str) -> None:
    stream, facts = (FOLDER / name).read_bytes(), FACTS[name]
    whole = sse.data_events(stream)
    finishes = [at for at in range(len(stream)) if stream.startswith((b'"finish_reason":"',), at)]
    finished = stream.find(b"\n", finishes[-1]) if finishes else len(stream)
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        for length in range(len(stream)):
            outcome = runner.run(relay([stream[:length]], facts))
            events = sse.data_events(outcome.sent)
            if outcome.failure is None:
                assert length >= finished - 1 and sse.is_complete(outcome.sent)
                assert [event for event in events if event.data != sse.DONE] == whole[: len(events) - 1]
            else:
                assert events == whole[: len(events)] and not sse.is_complete(outcome.sent)
                assert isinstance(outcome.failure, StreamInterrupted if outcome.sent else UpstreamError)

"""Messages as providers stream them, to both kinds of clients: whole, byte by byte, and cut at every position."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from gateway.core.chat import ChatRequest
from gateway.core.errors import GatewayError, StreamFailed, StreamInterrupted, UpstreamError
from gateway.core.exchange import Meter
from gateway.core.usage import Usage
from gateway.dialects import anthropic_messages, openai_chat
from gateway.dialects.base import Dialect
from gateway.dialects.bridge import bridge
from gateway.streaming.relay import EventStream
from tests.support import sse
from tests.support.loops import VirtualTimeLoop
from tests.support.streams import FakeReply, FakeSource

FOLDER: Final = Path(__file__).parent / "anthropic_messages"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is in a stream."""

    text: str
    usage: Usage | None
    reason: str | None = "stop"
    calls: tuple[tuple[str, str, str], ...] = ()
    thoughts: str = ""
    fails: bool = False


FACTS: Final = {
    "text.sse": Facts(
        'Der Preis ist 5 €,\u2028sagt: "data: [DONE]\n\n"!', Usage(176, 1024, 200, 9, cache_write_1h=100)
    ),
    "tools.sse": Facts(
        "Ich sehe nach.",
        Usage(176, 1024, 200, 40, cache_write_1h=100),
        "tool_calls",
        (("toolu_1", "weather", '{"city": "Paris", "usage": {"a ": 1}}'), ("toolu_2", "clock", "{}")),
    ),
    "thinking.sse": Facts(
        "Four.", Usage(176, 1024, 200, 10, cache_write_1h=100, reasoning=20), thoughts="Let me think.\n"
    ),
    "stop_sequence_crlf.sse": Facts("onetwo", Usage(input=5, output=3)),
    "error_in_stream.sse": Facts("Der", Usage(input=5, output=1), None, fails=True),
    "refusal.sse": Facts("", Usage(input=5), "content_filter"),
    "llamacpp.sse": Facts("The answer is 4.", Usage(input=42, output=7)),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    sent: bytes
    failure: GatewayError | None
    usage: Usage | None


def request_of(client: Dialect) -> ChatRequest:
    body: dict[str, Any] = {
        "model": "m",
        "max_tokens": 9,
        "stream": True,
        "messages": [{"role": "user", "content": "x"}],
    }
    body |= {"stream_options": {"include_usage": True}} if client is openai_chat else {}
    return client.decode_request(json.dumps(body).encode())


async def relay(parts: list[bytes], client: Dialect) -> Outcome:
    source, reply, meter = FakeSource(), FakeReply(), Meter()
    codec = bridge(client, anthropic_messages).read_stream(meter, request_of(client), 7.0)
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


def run(stream: bytes, size: int, client: Dialect) -> Outcome:
    parts = [stream[start : start + size] for start in range(0, len(stream), size)]
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(relay(parts, client))


def heard(stream: bytes) -> Facts:
    """Read a stream of chat completions as its clients do."""
    text, thoughts, reason, usage = "", "", None, None
    calls: dict[int, list[str]] = {}
    for chunk in sse.chunks_of(stream):
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices", []):
            delta = choice["delta"]
            text += delta.get("content") or ""
            thoughts += delta.get("reasoning_content") or ""
            reason = choice["finish_reason"] or reason
            for call in delta.get("tool_calls", []):
                function = call["function"]
                known = calls.setdefault(call["index"], [call.get("id", ""), function.get("name", ""), ""])
                known[2] += function["arguments"]
    return Facts(text, usage, reason, tuple((a, b, c) for a, b, c in calls.values()), thoughts)


def test_every_file_has_its_facts_and_its_line_in_the_page() -> None:
    assert {path.name for path in FOLDER.glob("*.sse")} == set(FACTS)
    page = (FOLDER / "README.md").read_text()
    assert all(f"`{name}`" in page for name in FACTS)


@pytest.mark.parametrize("name", FACTS)
@pytest.mark.parametrize("size", [1, 2, 7, 10**6], ids=lambda size: f"{size} bytes")
def test_a_stream_passes_untouched_to_who_speaks_the_same(name: str, size: int) -> None:
    stream, facts = (FOLDER / name).read_bytes(), FACTS[name]
    outcome = run(stream, size, anthropic_messages)
    assert outcome.sent == stream
    assert outcome.usage == facts.usage
    assert isinstance(outcome.failure, StreamFailed) if facts.fails else outcome.failure is None


@pytest.mark.parametrize("name", FACTS)
@pytest.mark.parametrize("size", [1, 2, 7, 10**6], ids=lambda size: f"{size} bytes")
def test_a_stream_says_the_same_as_chat_completions(name: str, size: int) -> None:
    facts = FACTS[name]
    outcome = run((FOLDER / name).read_bytes(), size, openai_chat)
    found = heard(outcome.sent)
    assert (found.text, found.thoughts, found.reason, found.calls) == (
        facts.text,
        facts.thoughts,
        facts.reason,
        facts.calls,
    )
    assert sse.is_complete(outcome.sent) != facts.fails
    assert outcome.usage == facts.usage
    if facts.fails:
        assert isinstance(outcome.failure, StreamFailed)
        assert sse.chunks_of(outcome.sent)[-1]["error"]["message"] == "Overloaded"
    elif facts.usage is not None:
        told = sse.chunks_of(outcome.sent)[-1]
        assert told["choices"] == [] and told["usage"]["prompt_tokens"] == facts.usage.total_input
        assert told["usage"]["completion_tokens"] == facts.usage.total_output


@pytest.mark.parametrize("name", FACTS)
@pytest.mark.parametrize("client", [anthropic_messages, openai_chat], ids=lambda client: client.NAME)
def test_cut_at_any_position_a_stream_ends_with_whole_events_and_no_end_that_was_none(
    name: str, client: Dialect
) -> None:
    stream = (FOLDER / name).read_bytes()
    whole = sse.data_events(run(stream, 10**6, client).sent)
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        for length in range(len(stream)):
            outcome = runner.run(relay([stream[:length]], client))
            events = sse.data_events(outcome.sent)
            assert events == whole[: len(events)]
            if outcome.failure is None:
                assert stream[length:].strip(b"\r\n") == b"", "no more than the empty line is missing"
            elif not FACTS[name].fails:
                assert events != whole
                assert isinstance(outcome.failure, StreamInterrupted if outcome.sent else UpstreamError)

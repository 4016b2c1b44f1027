"""Responses as providers stream them, to both kinds of clients: whole, byte by byte, and cut at every position."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from gateway.core.chat import ChatRequest
from gateway.core.errors import ProtocolError, StreamFailed, StreamInterrupted, UpstreamError
from gateway.core.exchange import Meter
from gateway.core.usage import Usage
from gateway.dialects import openai_chat, openai_responses
from gateway.dialects.base import ConversationDialect
from gateway.dialects.bridge import bridge
from gateway.streaming.relay import EventStream
from tests.support import sse
from tests.support.loops import VirtualTimeLoop
from tests.support.recorded import Outcome, assert_described, pieces, relayed
from tests.support.streams import FakeSource

FOLDER: Final = Path(__file__).parent / "openai_responses"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is in a stream; `translates`: other dialects can say it."""

    text: str
    usage: Usage | None
    reason: str | None = "stop"
    calls: tuple[tuple[str, str, str], ...] = ()
    thoughts: str = ""
    refusal: str = ""
    fails: bool = False
    translates: bool = True


PRICED: Final = Usage(input=176, cached_input=1024, output=9, reasoning=20)
FACTS: Final = {
    "llamacpp.sse": Facts("2 + 2 = 4.", Usage(input=24, output=9)),
    "text.sse": Facts('Der Preis ist 5 €,\u2028sagt: "data: [DONE]\n\n"response.completederror!', PRICED),
    "tools.sse": Facts(
        "I look.",
        PRICED,
        "tool_calls",
        (("call_1", "weather", '{"city":"Paris","usage":{"a":1}}'), ("call_2", "clock", "{}")),
        "**Looking**\n\nTwo.",
    ),
    "refusal.sse": Facts("", Usage(input=5, output=4), refusal="I can't help."),
    "incomplete_crlf.sse": Facts("onetwo", Usage(input=5, output=2), "length"),
    "error_in_stream.sse": Facts("Der", None, None, fails=True),
    "web_search.sse": Facts("Found.", PRICED, translates=False),
}
TRANSLATED: Final = [name for name, facts in FACTS.items() if facts.translates]


def request_of(client: ConversationDialect) -> ChatRequest:
    body: dict[str, Any] = {"model": "m", "stream": True}
    if client is openai_chat:
        body |= {"messages": [{"role": "user", "content": "x"}], "stream_options": {"include_usage": True}}
    return client.decode_request(json.dumps(body).encode())


async def relay(parts: list[bytes], client: ConversationDialect) -> Outcome:
    source, meter = FakeSource(), Meter()
    codec = bridge(client, openai_responses).read_stream(meter, request_of(client), 7.0)
    stream = source.sink = EventStream(source, codec, 2**20)
    return await relayed(source, stream, meter, parts)


def run(stream: bytes, size: int, client: ConversationDialect) -> Outcome:
    parts = pieces(stream, size)
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(relay(parts, client))


def decoded_by_client(stream: bytes) -> Facts:
    """Read a stream of chat completions as its clients do."""
    text, thoughts, refusal, reason = "", "", "", None
    calls: dict[int, list[str]] = {}
    for chunk in sse.chunks_of(stream):
        for choice in chunk.get("choices", []):
            delta = choice["delta"]
            text += delta.get("content") or ""
            thoughts += delta.get("reasoning_content") or ""
            refusal += delta.get("refusal") or ""
            reason = choice["finish_reason"] or reason
            for call in delta.get("tool_calls", []):
                function = call["function"]
                known = calls.setdefault(call["index"], [call.get("id", ""), function.get("name", ""), ""])
                known[2] += function["arguments"]
    return Facts(text, None, reason, tuple((a, b, c) for a, b, c in calls.values()), thoughts, refusal)


def test_every_file_has_its_facts_and_its_line_in_the_page() -> None:
    assert_described(FOLDER, FACTS)


@pytest.mark.parametrize("name", FACTS)
@pytest.mark.parametrize("size", [1, 2, 7, 10**6], ids=lambda size: f"{size} bytes")
def test_a_stream_passes_untouched_to_who_speaks_the_same(name: str, size: int) -> None:
    stream, facts = (FOLDER / name).read_bytes(), FACTS[name]
    outcome = run(stream, size, openai_responses)
    assert outcome.sent == stream
    assert outcome.usage == facts.usage
    assert isinstance(outcome.failure, StreamFailed) if facts.fails else outcome.failure is None


@pytest.mark.parametrize("name", TRANSLATED)
@pytest.mark.parametrize("size", [1, 2, 7, 10**6], ids=lambda size: f"{size} bytes")
def test_a_stream_says_the_same_as_chat_completions(name: str, size: int) -> None:
    facts = FACTS[name]
    outcome = run((FOLDER / name).read_bytes(), size, openai_chat)
    found = decoded_by_client(outcome.sent)
    assert (found.text, found.thoughts, found.refusal, found.reason, found.calls) == (
        facts.text,
        facts.thoughts,
        facts.refusal,
        facts.reason,
        facts.calls,
    )
    assert sse.is_complete(outcome.sent) != facts.fails
    assert outcome.usage == facts.usage
    last = sse.chunks_of(outcome.sent)[-1]
    if facts.fails:
        assert isinstance(outcome.failure, StreamFailed)
        assert last["error"]["message"] == "it broke"
    else:
        assert facts.usage is not None and last["usage"]["prompt_tokens"] == facts.usage.total_input


def test_what_was_encrypted_reaches_the_client_as_a_signature() -> None:
    outcome = run((FOLDER / "tools.sse").read_bytes(), 10**6, openai_chat)
    blocks = [
        block
        for chunk in sse.chunks_of(outcome.sent)
        for choice in chunk["choices"]
        for block in choice["delta"].get("thinking_blocks", [])
    ]
    signature = "openai-responses:rs_1:gAAAA="
    assert blocks == [{"index": 0, "type": "thinking", "thinking": FACTS["tools.sse"].thoughts, "signature": signature}]


def test_the_call_of_a_tool_that_nobody_asked_for_is_an_error_elsewhere() -> None:
    outcome = run((FOLDER / "web_search.sse").read_bytes(), 10**6, openai_chat)
    assert isinstance(outcome.failure, StreamFailed | ProtocolError)
    assert not sse.is_complete(outcome.sent) and not decoded_by_client(outcome.sent).text


@pytest.mark.parametrize("name", TRANSLATED)
@pytest.mark.parametrize("client", [openai_responses, openai_chat], ids=lambda client: client.NAME)
def test_cut_at_any_position_a_stream_ends_with_whole_events_and_no_end_that_was_none(
    name: str, client: ConversationDialect
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

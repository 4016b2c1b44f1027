"""Streams as providers send them: whole, byte by byte, and cut at every position."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from gateway.core.errors import GatewayError, StreamFailed, StreamInterrupted, UpstreamError
from gateway.core.exchange import Meter
from gateway.core.usage import Usage
from tests.support import sse
from tests.support.loops import VirtualTimeLoop
from tests.support.streams import FakeReply, FakeSource, open_stream

FOLDER: Final = Path(__file__).parent / "openai_chat"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is in a stream: the text of its first choice, its usage, how many choices, and whether it fails."""

    text: str
    usage: Usage | None
    choices: int = 1
    fails: bool = False


PRICED: Final = Usage(input=176, cached_input=1024, output=9)
FACTS: Final = {
    "llamacpp.sse": Facts('The answer is "2 + 2 = 4."', Usage(input=43, output=12)),
    "text.sse": Facts('Der Preis ist 5 €,\u2028sagt: "data: [DONE]\\n\\n"!', PRICED),
    "tool_call.sse": Facts("", PRICED),
    "two_choices.sse": Facts("janein!", PRICED, choices=2),
    "comments_crlf.sse": Facts("Der Preis ist 5", PRICED),
    "error_in_stream.sse": Facts("Der", None, fails=True),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    sent: bytes
    failure: GatewayError | None
    usage: Usage | None


async def relay(parts: list[bytes], facts: Facts, hides_usage: bool) -> Outcome:
    source, reply, meter = FakeSource(), FakeReply(), Meter()
    stream = open_stream(source, meter, hides_usage=hides_usage, choices=facts.choices)
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


def run(parts: list[bytes], name: str, hides_usage: bool = False) -> Outcome:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(relay(parts, FACTS[name], hides_usage))


def test_every_file_has_its_facts_and_its_line_in_the_page() -> None:
    assert {path.name for path in FOLDER.glob("*.sse")} == set(FACTS)
    page = (FOLDER / "README.md").read_text()
    assert all(f"`{name}`" in page for name in FACTS)


@pytest.mark.parametrize("name", FACTS)
@pytest.mark.parametrize("size", [1, 2, 7, 10**6], ids=lambda size: f"{size} bytes")
def test_a_stream_passes_untouched_for_whom_asked_for_its_usage(name: str, size: int) -> None:
    stream, facts = (FOLDER / name).read_bytes(), FACTS[name]
    outcome = run([stream[start : start + size] for start in range(0, len(stream), size)], name)
    assert outcome.sent == stream
    assert outcome.usage == facts.usage
    assert sse.text_of(outcome.sent) == facts.text
    assert isinstance(outcome.failure, StreamFailed) if facts.fails else outcome.failure is None


@pytest.mark.parametrize("name", FACTS)
@pytest.mark.parametrize("size", [1, 2, 7, 10**6], ids=lambda size: f"{size} bytes")
def test_who_did_not_ask_for_usage_sees_none(name: str, size: int) -> None:
    stream, facts = (FOLDER / name).read_bytes(), FACTS[name]
    outcome = run([stream[start : start + size] for start in range(0, len(stream), size)], name, hides_usage=True)
    chunks = sse.chunks_of(outcome.sent)
    assert not any("usage" in chunk or chunk.get("choices") == [] for chunk in chunks)
    assert outcome.usage == facts.usage
    assert sse.text_of(outcome.sent) == facts.text and sse.is_complete(outcome.sent) != facts.fails


@pytest.mark.parametrize("name", FACTS)
def test_cut_at_any_position_a_stream_ends_with_whole_events_and_no_end_that_was_none(name: str) -> None:
    stream, facts = (FOLDER / name).read_bytes(), FACTS[name]
    whole = sse.data_events(stream)
    finished = max((stream.find(b"\n", at) for at in finishes(stream)), default=len(stream))
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        for length in range(len(stream)):
            outcome = runner.run(relay([stream[:length]], facts, hides_usage=False))
            events = sse.data_events(outcome.sent)
            if outcome.failure is None:
                assert length >= finished - 1 and sse.is_complete(outcome.sent)
                assert [e for e in events if e.data != sse.DONE] == whole[: len(events) - 1]
            else:
                assert events == whole[: len(events)] and not sse.is_complete(outcome.sent)
                assert isinstance(outcome.failure, StreamInterrupted if outcome.sent else UpstreamError)


def finishes(stream: bytes) -> list[int]:
    """Give where each choice says that it is finished."""
    found, at = [], stream.find(b'"finish_reason":"')
    while at >= 0:
        found.append(at)
        at = stream.find(b'"finish_reason":"', at + 1)
    return found

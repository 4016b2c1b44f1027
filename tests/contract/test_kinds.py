"""Answers as they come from the sockets of each kind of provider: whole, in pieces, cut in two and broken off anywhere."""

import asyncio
import json
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, Final

import pytest

from gateway.config.spec import ProviderSpec
from gateway.core.errors import (
    ContentRefused,
    ContextTooLong,
    CredentialRefused,
    GatewayError,
    QuotaUsedUp,
    Rejected,
    Unavailable,
    UpstreamError,
    UpstreamRateLimited,
)
from gateway.core.exchange import Meter
from gateway.core.usage import Usage
from gateway.dialects import BY_NAME
from gateway.providers import load_kinds
from gateway.providers.base import KINDS, HttpProvider
from gateway.providers.connection import Connection
from gateway.providers.response import UpstreamResponse
from gateway.streaming.relay import Document, EventStream
from tests.support import sse
from tests.support.loops import VirtualTimeLoop
from tests.support.streams import FakeReply
from tests.support.upstream import call

FOLDER: Final = Path(__file__).parent / "kinds"


@dataclass(frozen=True, slots=True)
class Fact:
    """What an answer means: the error that it is, or its text and usage; `wait_s`: what the provider asks for."""

    error: type[GatewayError] | None = None
    wait_s: float | None = None
    text: str = ""
    usage: Usage | None = None


FACTS: Final = {
    "llamacpp/answer": Fact(text="The answer to this classic math problem is 4.", usage=Usage(input=37, output=12)),
    "llamacpp/stream": Fact(
        text="The answer to this classic math problem is 4.", usage=Usage(input=1, cached_input=36, output=12)
    ),
    "llamacpp/too_long": Fact(ContextTooLong),
    "llamacpp/bad_request": Fact(Rejected),
    "simulator/answer": Fact(),
    "simulator/stream": Fact(),
    "simulator/rate_limited": Fact(UpstreamRateLimited, wait_s=7.0),
    "simulator/quota": Fact(QuotaUsedUp),
    "simulator/policy": Fact(ContentRefused),
    "simulator/error": Fact(Unavailable),
    "openai/rate_limited": Fact(UpstreamRateLimited, wait_s=72.0),
    "openai/azure_content_filter": Fact(ContentRefused),
    "openai/too_long": Fact(ContextTooLong),
    "anthropic/answer": Fact(text="Four.", usage=Usage(input=12, cached_input=3, output=5)),
    "anthropic/overloaded": Fact(Unavailable),
    "anthropic/rate_limited": Fact(UpstreamRateLimited, wait_s=9.0),
    "anthropic/refused_key": Fact(CredentialRefused),
    "anthropic/too_long": Fact(ContextTooLong),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the gateway makes of an answer."""

    error: type[GatewayError] | None
    wait_s: float | None
    sent: bytes
    usage: Usage | None


class Wire:
    """A connection's transport that writes nowhere."""

    def __init__(self) -> None:
        self.ends = socket.socketpair()

    def get_extra_info(self, name: str) -> Any:
        return self.ends[0]

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def nothing(self, *_: object) -> None: ...

    abort = writelines = write = pause_reading = resume_reading = nothing


class Shelf:
    """Where connections go that are done with."""

    def nothing(self, *_: object) -> None: ...

    give_back = forget = count_unrequested_data = nothing


def provider_of(name: str) -> HttpProvider:
    load_kinds()
    kind = name.partition("/")[0]
    return KINDS[kind](ProviderSpec("p", kind, "http://provider.test"))


async def read(answer: UpstreamResponse, provider: HttpProvider, is_stream: bool) -> tuple[bytes, Usage | None]:
    """Return the client's answer as the request path reads it. Raises `UpstreamError`."""
    await answer.head
    document = Document(answer, 2**20)
    if answer.status != 200:
        answer.attach(document)
        raise provider.classify_error(answer.status, answer.headers, await document.read(), 1_767_268_800.0)
    dialect = BY_NAME[provider.dialects[0]]
    if not is_stream:
        answer.attach(document)
        body = await document.read()
        return body, dialect.read_answer(body)
    meter, reply = Meter(), FakeReply()
    stream = EventStream(answer, dialect.read_stream(meter, hides_usage=False, choices=1), 2**20)
    answer.attach(stream)
    await stream.until_content()
    try:
        await stream.pump(reply, None)
    except UpstreamError as error:
        return reply.sent + b"[broken: %b]" % type(error).__name__.encode(), meter.usage
    return reply.sent, meter.usage


async def play(name: str, parts: Sequence[bytes]) -> Outcome:
    """Let a provider send an answer in these parts, then close."""
    is_stream = name.endswith("stream")
    wire = Wire()
    connection = Connection(Shelf(), asyncio.get_running_loop(), inf)
    connection.connection_made(wire)  # type: ignore[arg-type]
    answer = connection.send(call(provider_of(name).origin, is_stream=is_stream))
    reading = asyncio.ensure_future(read(answer, provider_of(name), is_stream))
    for part in parts:
        connection.data_received(part)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    connection.connection_lost(None)
    try:
        sent, usage = await reading
        return Outcome(None, None, sent, usage)
    except UpstreamError as error:
        return Outcome(type(error), error.retry_after_s, b"", None)
    finally:
        answer.close()
        for end in wire.ends:
            end.close()


def recorded(name: str) -> bytes:
    return (FOLDER / f"{name}.http").read_bytes()


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as one:
        yield one


def said(name: str, sent: bytes) -> str:
    if name.endswith("stream"):
        return sse.text_of(sent)
    document = json.loads(sent)
    if "choices" in document:
        return str(document["choices"][0]["message"]["content"])
    return str(document["content"][0]["text"])


def test_every_answer_has_its_meaning_and_every_kind_its_answers() -> None:
    load_kinds()
    found = {f"{path.parent.name}/{path.stem}" for path in FOLDER.glob("*/*.http")}
    assert found == set(FACTS)
    assert {name.partition("/")[0] for name in found} == set(KINDS)


@pytest.mark.parametrize("name", FACTS)
@pytest.mark.parametrize("size", [1, 7, 10**6], ids=lambda size: f"{size} bytes")
def test_an_answer_means_what_it_means_in_pieces_too(runner: asyncio.Runner, name: str, size: int) -> None:
    answer, fact = recorded(name), FACTS[name]
    outcome = runner.run(play(name, [answer[at : at + size] for at in range(0, len(answer), size)]))
    assert (outcome.error, outcome.wait_s) == (fact.error, fact.wait_s)
    if fact.error is None:
        assert said(name, outcome.sent)
        assert not fact.text or said(name, outcome.sent) == fact.text
        assert outcome.usage is not None and fact.usage in (None, outcome.usage)


@pytest.mark.parametrize("name", FACTS)
def test_cut_in_two_anywhere_it_means_the_same(runner: asyncio.Runner, name: str) -> None:
    answer = recorded(name)
    whole = runner.run(play(name, [answer]))
    for at in range(1, len(answer)):
        assert runner.run(play(name, [answer[:at], answer[at:]])) == whole, at


@pytest.mark.parametrize("name", FACTS)
def test_broken_off_anywhere_it_is_never_taken_for_whole(runner: asyncio.Runner, name: str) -> None:
    answer, fact = recorded(name), FACTS[name]
    whole = runner.run(play(name, [answer]))
    for at in range(len(answer)):
        outcome = runner.run(play(name, [answer[:at]] if at else []))
        if outcome.error is not None:
            assert issubclass(outcome.error, UpstreamError) and outcome.error in (fact.error, Unavailable), at
        elif outcome.sent != whole.sent:  # else all was there but the end of the framing
            assert name.endswith("stream") and outcome.sent.endswith(b"[broken: StreamInterrupted]"), at

"""Whatever the network does to a stream, the client gets whole events, once each, and never an end that was none."""

import asyncio
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import GatewayError, StreamFailed, Unavailable, UpstreamError, UpstreamTimeout
from gateway.dialects import openai_chat
from gateway.resilience.timeouts import Timeouts
from tests.support import sse
from tests.support.loops import VirtualTimeLoop
from tests.support.streams import DONE, ERROR, FINISH, ROLE, USAGE, FakeReply, FakeSource, chunk, open_stream, text

CONTENT = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["data: [DONE]\n\n", '"finish_reason":"stop"', '"error":{}', '"usage":{', "\u2028"]),
)


@dataclass(frozen=True)
class Outcome:
    """What the client got, and how it ended; `failure` before the first content means that nothing was written."""

    sent: bytes
    failure: GatewayError | None
    has_begun: bool


async def relay(parts: list[bytes], error: GatewayError | None, room: int | None, keepalive_s: float | None) -> Outcome:
    """Relay `parts`, one for each second that the source may send, to a client that drains once in a while."""
    source, reply = FakeSource(Timeouts(idle_s=None, first_token_s=None)), FakeReply(room)
    stream = open_stream(source)

    async def provide() -> None:
        for part in parts:
            while source.is_paused:
                reply.drain()
                await asyncio.sleep(1)
            source.send(part)
            await asyncio.sleep(1)
        source.end(error)

    providing = asyncio.ensure_future(provide())
    has_begun = False
    try:
        await stream.until_content()
        assert reply.writes == []
        has_begun = True
        await stream.pump(reply, keepalive_s)
    except GatewayError as failure:
        if has_begun and not isinstance(failure, StreamFailed):
            reply.write(openai_chat.encode_error_event(failure))
        return Outcome(reply.sent, failure, has_begun)
    finally:
        source.close()
        providing.cancel()
    return Outcome(reply.sent, None, has_begun)


def run(parts: list[bytes], error: GatewayError | None, room: int | None, keepalive_s: float | None) -> Outcome:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(relay(parts, error, room, keepalive_s))


def cut_at(stream: bytes, points: list[int]) -> list[bytes]:
    at = sorted(point % (len(stream) + 1) for point in points)
    return [stream[start:end] for start, end in zip([0, *at], [*at, len(stream)], strict=True)]


def without_comments(stream: bytes) -> bytes:
    return stream.replace(b": keep-alive\n\n", b"")


bodies = st.lists(CONTENT, min_size=1, max_size=6)
cuts = st.lists(st.integers(0, 10**6), max_size=10)
rooms = st.sampled_from([None, 0, 200])
keepalives = st.sampled_from([None, 0.4])
breaks = st.sampled_from([None, Unavailable("reset"), UpstreamTimeout("late")])


def events_of(body: list[str]) -> list[bytes]:
    return [ROLE, *map(text, body), FINISH]


@given(bodies, cuts, rooms, keepalives, st.sampled_from([b"\n\n", b"\r\n\r\n"]), st.booleans())
def test_a_whole_stream_passes_whole(
    body: list[str], points: list[int], room: int | None, keepalive_s: float | None, end: bytes, has_usage: bool
) -> None:
    events = events_of(body)
    stream = b"".join([*events, USAGE if has_usage else b"", DONE]).replace(b"\n\n", end)
    outcome = run(cut_at(stream, points), None, room, keepalive_s)
    assert outcome.failure is None
    assert sse.data_events(outcome.sent) == sse.data_events(b"".join([*events, DONE]))
    if end == b"\n\n":
        assert without_comments(outcome.sent) == b"".join([*events, DONE])


@given(bodies, st.integers(0, 10**6), cuts, rooms, keepalives, breaks)
def test_a_cut_stream_never_looks_complete_and_never_tears_an_event(
    body: list[str],
    length: int,
    points: list[int],
    room: int | None,
    keepalive_s: float | None,
    error: UpstreamError | None,
) -> None:
    events = events_of(body)
    whole = b"".join(events)
    stream = whole[: length % len(whole)]
    outcome = run(cut_at(stream, points), error, room, keepalive_s)
    sent = without_comments(outcome.sent)
    if not outcome.has_begun:
        assert sent == b"" and isinstance(outcome.failure, UpstreamError) and outcome.failure.is_retryable
        return
    if outcome.failure is None:  # all that the client needs had come but for an empty line, and the end was in order
        assert error is None and stream.rstrip(b"\n") == whole.rstrip(b"\n") and sent == whole + DONE
        return
    assert not outcome.failure.is_retryable or isinstance(outcome.failure, UpstreamTimeout)
    passed = sent.removesuffix(openai_chat.encode_error_event(outcome.failure))
    assert passed != sent and DONE not in sent, "the error is told, once, and nothing looks like an end"
    assert passed in [b"".join(events[:count]) for count in range(len(events))], "whole events, in order, once each"
    assert len(stream) - len(passed) < max(map(len, events)), "all but the torn one"


@given(bodies, cuts, rooms, st.booleans(), st.booleans())
def test_an_error_in_the_stream_is_told_once_and_ends_it(
    body: list[str], points: list[int], room: int | None, has_content: bool, has_done: bool
) -> None:
    before = [ROLE, *map(text, body)] if has_content else [ROLE]
    outcome = run(cut_at(b"".join(before) + ERROR + (DONE if has_done else b""), points), None, room, None)
    if not outcome.has_begun:
        assert outcome.sent == b"" and isinstance(outcome.failure, Unavailable)
    else:
        assert outcome.sent == b"".join(before) + ERROR and isinstance(outcome.failure, StreamFailed)


@given(st.integers(1, 4), st.integers(0, 4), cuts, breaks)
def test_no_choice_is_left_open_by_a_done_of_ours(
    choices: int, finished: int, points: list[int], error: UpstreamError | None
) -> None:
    source_events = [text("a"), *(chunk(finish="stop", index=index) for index in range(min(finished, choices)))]

    async def relay_choices() -> bytes:
        source, reply = FakeSource(), FakeReply()
        stream = open_stream(source, choices=choices)
        for part in cut_at(b"".join(source_events), points):
            source.send(part)
        source.end(error)
        await stream.until_content()
        try:
            await stream.pump(reply, None)
        except GatewayError:
            assert DONE not in reply.sent
        return reply.sent

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        sent = runner.run(relay_choices())
    assert (DONE in sent) == (finished >= choices and error is None)

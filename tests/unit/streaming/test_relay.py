import asyncio
import json
from typing import Any

import pytest

from gateway.core.errors import (
    ClientStalled,
    GatewayError,
    HiddenError,
    ProtocolError,
    StreamFailed,
    StreamInterrupted,
    Unavailable,
    UpstreamTimeout,
)
from gateway.core.exchange import Meter
from gateway.core.faults import Fault
from gateway.dialects import openai_chat
from gateway.resilience.timeouts import Timeouts
from gateway.streaming.relay import KEEP_ALIVE, Document, EventStream
from tests.support.loops import in_virtual_time
from tests.support.streams import (
    DONE,
    ERROR,
    FINISH,
    ROLE,
    USAGE,
    FakeReply,
    FakeSource,
    chunk,
    open_stream,
    text,
)


async def relay(
    *parts: bytes, error: GatewayError | None = None, hides_usage: bool = True, choices: int = 1
) -> tuple[bytes, GatewayError | None]:
    """Relay a stream that comes in `parts` and ends with `error`; give what the client got, and what the relay raised."""
    source, reply = FakeSource(), FakeReply()
    stream = open_stream(source, hides_usage=hides_usage, choices=choices)
    source.send(parts[0])
    await stream.until_content()
    pumping = asyncio.ensure_future(stream.pump(reply, None))
    await asyncio.sleep(0)
    for part in parts[1:]:
        source.send(part)
    source.end(error)
    try:
        await pumping
    except GatewayError as failure:
        return reply.sent, failure
    return reply.sent, None


async def relayed(*parts: bytes, **options: Any) -> bytes:
    """Relay a stream that ends well."""
    got, failure = await relay(*parts, **options)
    assert failure is None
    return got


async def broken(*parts: bytes, **options: Any) -> tuple[type[GatewayError], bytes]:
    """Relay a stream that must not end well; give how it ends, and what the client got of it."""
    got, failure = await relay(*parts, **options)
    assert failure is not None, f"it ended well, with {got!r}"
    return type(failure), got


# Before the first content


@in_virtual_time
async def test_nothing_is_written_before_the_first_content() -> None:
    source, reply = FakeSource(), FakeReply()
    stream = open_stream(source)
    waiting = asyncio.ensure_future(stream.until_content())
    for prelude in (b": hello\n\n", ROLE, b"event: ping\ndata:\n\n", chunk({"content": None, "tool_calls": []})):
        source.send(prelude)
        await asyncio.sleep(1)
        assert not waiting.done()
    source.send(text("a"))
    await waiting
    assert reply.sent == b""
    source.send(FINISH + DONE)
    source.end()
    await stream.pump(reply, None)
    assert (
        reply.sent
        == b": hello\n\n"
        + ROLE
        + b"event: ping\ndata:\n\n"
        + chunk({"content": None, "tool_calls": []})
        + text("a")
        + FINISH
        + DONE
    )


@pytest.mark.parametrize(
    "content",
    [
        text("a"),
        chunk({"reasoning_content": "hm"}),
        chunk({"tool_calls": [{"index": 0, "function": {"name": "f"}}]}),
        chunk({"role": "assistant", "content": "a"}),
        chunk({"refusal": "no"}),
        FINISH,
        FINISH + DONE,
    ],
)
@in_virtual_time
async def test_whatever_tells_the_client_something_is_content(content: bytes) -> None:
    source = FakeSource()
    stream = open_stream(source)
    source.send(ROLE + content)
    await stream.until_content()
    source.close()


@pytest.mark.parametrize(
    ("data", "error", "expected"),
    [
        (ROLE, None, ProtocolError),
        (b"", None, ProtocolError),
        (ROLE, Unavailable("gone"), Unavailable),
        (ROLE, UpstreamTimeout("late"), UpstreamTimeout),
        (ROLE + ERROR, None, HiddenError),
        (ROLE + chunk({"content": ""}, "error", error={"code": 502}), None, HiddenError),
        (ROLE + DONE, None, ProtocolError),
        (DONE, None, ProtocolError),
        (ROLE + chunk({}, "abort"), None, HiddenError),
        (b'data: {"object":"error","message":"x","code":500}\n\n', None, HiddenError),
        (b"data: <html>\n\n", None, ProtocolError),
        (b'data: {"choices":"many"}\n\n', None, ProtocolError),
        (b"data: " + b"[" * 100_000 + b"\n\n", None, ProtocolError),
        (b"data: \xff\xfe\n\n", None, ProtocolError),
        (text("torn")[:-20], None, ProtocolError),
    ],
)
@in_virtual_time
async def test_what_ends_or_fails_before_the_first_content_raises(
    data: bytes, error: GatewayError | None, expected: type[GatewayError]
) -> None:
    source = FakeSource()
    stream = open_stream(source)
    source.send(data)
    source.end(error)
    with pytest.raises(expected) as caught:
        await stream.until_content()
    assert type(caught.value) is expected and source.is_closed
    assert caught.value.is_retryable


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("name", [b"event: error", b"event:error"])
@pytest.mark.parametrize("data", [b'data: {"message": "overloaded"}', b"data: overloaded", b"data: {}", b": nothing"])
@in_virtual_time
async def test_an_event_that_is_named_error_is_one_whatever_it_holds(data: bytes, name: bytes, end: bytes) -> None:
    for lines in ((name, data), (data, name)):
        source = FakeSource()
        stream = open_stream(source)
        source.send(ROLE + end.join((*lines, b"", b"")))
        with pytest.raises(Unavailable) as caught:
            await stream.until_content()
        assert caught.value.fault is Fault.HIDDEN_ERROR and source.is_closed


@pytest.mark.parametrize(
    "event", [text("event: error\n"), b"event: errors\n" + text("a"), b": event: error\n" + text("a")]
)
@in_virtual_time
async def test_an_event_that_only_speaks_of_errors_is_none(event: bytes) -> None:
    assert await relayed(event, FINISH + DONE) == event + FINISH + DONE


@pytest.mark.parametrize("rest", [b"", FINISH[:-10]])
@in_virtual_time
async def test_a_stream_that_ends_before_its_content_was_cut(rest: bytes) -> None:
    source = FakeSource()
    stream = open_stream(source)
    source.send(ROLE + rest)
    source.end(None)
    with pytest.raises(ProtocolError) as caught:
        await stream.until_content()
    assert caught.value.fault is Fault.CUT


@in_virtual_time
async def test_an_error_stays_what_it_is_when_the_whole_answer_had_come_already() -> None:
    """The provider's last byte may be there before anybody looks: then there is nothing left to close."""
    source = FakeSource()
    stream = open_stream(source)
    source.close()
    stream.feed(ROLE + ERROR)
    stream.finish(None)
    with pytest.raises(Unavailable):
        await stream.until_content()


@in_virtual_time
async def test_what_comes_before_the_first_content_is_bounded() -> None:
    source = FakeSource()
    stream = open_stream(source, limit=10_000)
    for _ in range(10_000 // len(ROLE) + 1):
        assert not source.is_closed
        source.send(ROLE)
    assert source.is_closed
    with pytest.raises(ProtocolError):
        await stream.until_content()


@in_virtual_time
async def test_an_event_over_the_limit_is_refused() -> None:
    source = FakeSource()
    stream = open_stream(source, limit=1000)
    source.send(b"data: " + b"x" * 995)
    assert source.is_closed
    with pytest.raises(ProtocolError):
        await stream.until_content()


@in_virtual_time
async def test_after_the_first_content_the_source_waits_for_the_client() -> None:
    source, reply = FakeSource(), FakeReply()
    stream = open_stream(source)
    source.send(ROLE + text("a"))
    assert not source.is_paused
    source.send(text("b"))
    assert source.is_paused
    pumping = asyncio.ensure_future(stream.pump(reply, None))
    await asyncio.sleep(1)
    assert reply.sent == ROLE + text("a") + text("b") and not source.is_paused
    source.send(FINISH + DONE)
    source.end()
    await pumping


@in_virtual_time
async def test_a_byte_order_mark_goes_no_further() -> None:
    assert await relayed(b"\xef\xbb\xbf" + text("a"), FINISH + DONE) == text("a") + FINISH + DONE


@in_virtual_time
async def test_a_stream_that_is_over_before_the_client_is_ready_passes_whole() -> None:
    source, reply = FakeSource(), FakeReply()
    stream = open_stream(source)
    source.send(ROLE + text("a") + FINISH + DONE)
    source.end()
    await stream.until_content()
    await stream.pump(reply, 15)
    assert reply.sent == ROLE + text("a") + FINISH + DONE
    timers = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    assert all(timer.cancelled() for timer in timers)


# How a stream ends


@in_virtual_time
async def test_each_event_is_written_when_it_comes() -> None:
    source, reply = FakeSource(), FakeReply()
    stream = open_stream(source)
    source.send(text("a"))
    await stream.until_content()
    pumping = asyncio.ensure_future(stream.pump(reply, None))
    await asyncio.sleep(0)
    for number in range(5):
        source.send(text(str(number)))
        assert reply.writes[-1] == text(str(number)), "written in the same call, without a turn of the loop"
    source.send(FINISH + DONE)
    source.end()
    await pumping


@in_virtual_time
async def test_done_is_said_for_a_provider_that_finished_without_it() -> None:
    assert await relayed(text("a"), FINISH) == text("a") + FINISH + DONE


@in_virtual_time
async def test_without_a_finish_reason_a_missing_done_is_a_broken_stream() -> None:
    assert await broken(text("a"), text("b")) == (StreamInterrupted, text("a") + text("b"))


@in_virtual_time
async def test_all_choices_must_finish_before_done_is_said_for_the_provider() -> None:
    one, two = chunk(finish="stop"), chunk(finish="stop", index=1)
    assert await broken(text("a"), one, choices=2) == (StreamInterrupted, text("a") + one)
    assert await relayed(text("a"), one, text("b", index=1), two, choices=2) == b"".join(
        [text("a"), one, text("b", index=1), two, DONE]
    )


@pytest.mark.parametrize("parts", [(text("b"),), (FINISH,), (text("b"), FINISH)])
@in_virtual_time
async def test_a_cut_is_never_completed(parts: tuple[bytes, ...]) -> None:
    error = Unavailable("the provider closed the connection in the middle of its answer")
    assert await broken(text("a"), *parts, error=error) == (StreamInterrupted, text("a") + b"".join(parts))


@in_virtual_time
async def test_what_happens_after_done_harms_nobody() -> None:
    whole = text("a") + FINISH + DONE
    assert await relayed(text("a"), FINISH + DONE, error=Unavailable("reset")) == whole
    assert await relayed(text("a"), FINISH + DONE, error=UpstreamTimeout("idle")) == whole


@pytest.mark.parametrize("surplus", [DONE, text("b"), b": comment\n\n", ERROR, b"data: x"])
@in_virtual_time
async def test_done_is_the_last_that_the_client_gets(surplus: bytes) -> None:
    whole = text("a") + FINISH + DONE
    assert await relayed(text("a"), FINISH + DONE + surplus) == whole
    assert await relayed(text("a"), FINISH + DONE, surplus) == whole


@in_virtual_time
async def test_an_error_event_after_content_passes_once_and_ends_the_stream() -> None:
    for rest in ((ERROR + DONE,), (ERROR, DONE), (ERROR + text("b"), FINISH + DONE), (ERROR,)):
        assert await broken(text("a"), *rest) == (StreamFailed, text("a") + ERROR)
    named = chunk({"content": ""}, "error", error={"code": 502, "message": "upstream"})
    assert await broken(text("a"), named, DONE) == (StreamFailed, text("a") + named)


@in_virtual_time
async def test_what_nobody_should_see_is_taken_out_of_an_error_and_of_nothing_else() -> None:
    source, reply = FakeSource(), FakeReply()
    codec = openai_chat.read_stream(Meter(), hides_usage=True, choices=1)
    source.sink = stream = EventStream(source, codec, 2**20, lambda data: data.replace(b"key-1", b"***"))
    source.send(ROLE + text("key-1 in a text"))
    await stream.until_content()
    pumping = asyncio.ensure_future(stream.pump(reply, None))
    await asyncio.sleep(0)
    source.send(b'data: {"error": {"message": "key-1 is wrong"}}\n\n')
    with pytest.raises(StreamFailed):
        await pumping
    assert reply.sent.count(b"key-1") == 1 and b"*** is wrong" in reply.sent


@in_virtual_time
async def test_an_error_event_closes_the_source_at_once() -> None:
    source, reply = FakeSource(), FakeReply()
    stream = open_stream(source)
    source.send(text("a"))
    await stream.until_content()
    pumping = asyncio.ensure_future(stream.pump(reply, None))
    await asyncio.sleep(0)
    source.send(ERROR)
    assert source.is_closed
    with pytest.raises(StreamFailed):
        await pumping


@in_virtual_time
async def test_an_error_of_null_is_none() -> None:
    nothing_wrong = b'data: {"choices":[],"error":null}\n\n'
    stream = nothing_wrong + text("a", error=None) + nothing_wrong + FINISH + DONE
    assert await relayed(stream) == stream


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
@in_virtual_time
async def test_a_last_event_that_lacks_only_its_empty_line_is_passed_on(end: bytes) -> None:
    assert await relayed(text("a"), FINISH + b"data: [DONE]" + end) == text("a") + FINISH + DONE
    assert await relayed(text("a"), FINISH[:-2] + end) == text("a") + FINISH + DONE
    assert await broken(text("a"), text("b")[:-2] + end) == (StreamInterrupted, text("a") + text("b"))


@in_virtual_time
async def test_a_last_event_that_was_cut_is_not_passed_on() -> None:
    for length in range(1, len(FINISH) - 2):
        assert await broken(text("a"), FINISH[:length]) == (StreamInterrupted, text("a"))


@in_virtual_time
async def test_what_is_cut_after_the_finish_leaves_a_whole_stream() -> None:
    for tail in (USAGE, DONE, b": bye\n\n"):
        for length in range(len(tail)):
            assert await relayed(text("a"), FINISH + tail[:length]) == text("a") + FINISH + DONE


@in_virtual_time
async def test_a_cut_inside_an_event_drops_that_event_alone() -> None:
    got = await broken(text("a"), text("b") + text("c")[:-7], error=Unavailable("reset"))
    assert got == (StreamInterrupted, text("a") + text("b"))


@pytest.mark.parametrize(
    "timeouts", [Timeouts(idle_s=3, total_s=None), Timeouts(idle_s=None, total_s=None)], ids=["idle", "total"]
)
@in_virtual_time
async def test_a_clock_that_runs_out_is_raised_as_itself(timeouts: Timeouts) -> None:
    source, reply = FakeSource(timeouts, total_at=asyncio.get_running_loop().time() + 10), FakeReply()
    stream = open_stream(source)
    source.send(text("a"))
    await stream.until_content()
    with pytest.raises(UpstreamTimeout) as caught:
        await stream.pump(reply, None)
    assert caught.value.error_code == ("idle_timeout" if timeouts.idle_s else "total_timeout")
    assert source.is_closed and reply.sent == text("a")


# Usage


@in_virtual_time
async def test_the_usage_event_is_kept_for_whom_asked_and_stripped_for_whom_did_not() -> None:
    stream = text("a") + FINISH + USAGE + DONE
    assert await relayed(stream, hides_usage=False) == stream
    assert await relayed(stream) == text("a") + FINISH + DONE
    assert await relayed(text("a"), FINISH, USAGE, DONE) == text("a") + FINISH + DONE


@in_virtual_time
async def test_a_stripped_usage_event_without_its_empty_line_leaves_no_trace() -> None:
    assert await relayed(text("a"), FINISH + USAGE[:-2]) == text("a") + FINISH + DONE


@in_virtual_time
async def test_usage_is_metered_whoever_sees_it() -> None:
    for hides_usage in (True, False):
        source, meter = FakeSource(), Meter()
        stream = open_stream(source, meter, hides_usage=hides_usage)
        source.send(text("a") + FINISH + USAGE + DONE)
        source.end()
        await stream.until_content()
        await stream.pump(FakeReply(), None)
        assert meter.usage is not None and (meter.usage.input, meter.usage.output) == (7, 3)
        assert meter.events == 4


# A slow client


@in_virtual_time
async def test_a_client_without_room_pauses_the_source_and_its_drain_resumes_it() -> None:
    source, reply = FakeSource(), FakeReply(room=1000)
    stream = open_stream(source)
    source.send(text("a"))
    await stream.until_content()
    pumping = asyncio.ensure_future(stream.pump(reply, None))
    await asyncio.sleep(0)
    for _ in range(20):
        source.send(text("x" * 2000))
        assert source.is_paused
        await asyncio.sleep(29)
        reply.drain()
        assert not source.is_paused
    source.send(FINISH + DONE)
    source.end()
    await pumping
    assert reply.sent == text("a") + text("x" * 2000) * 20 + FINISH + DONE
    assert source.pauses == 20


@in_virtual_time
async def test_a_client_without_room_for_what_was_held_pauses_the_source_too() -> None:
    source, reply = FakeSource(), FakeReply(room=10)
    stream = open_stream(source)
    source.send(text("a"))
    await stream.until_content()
    pumping = asyncio.ensure_future(stream.pump(reply, None))
    await asyncio.sleep(0)
    assert source.is_paused
    reply.drain()
    assert not source.is_paused
    source.end(Unavailable("enough"))
    with pytest.raises(StreamInterrupted):
        await pumping


@in_virtual_time
async def test_the_idle_clock_does_not_run_while_the_client_holds_things_up_but_the_write_timeout_does() -> None:
    loop = asyncio.get_running_loop()
    source, reply = FakeSource(Timeouts(idle_s=1), write_timeout_s=60), FakeReply(room=10)
    stream = open_stream(source)
    source.send(text("a"))
    await stream.until_content()
    began = loop.time()
    with pytest.raises(ClientStalled):
        await stream.pump(reply, 15)
    assert loop.time() - began == pytest.approx(60)
    assert source.is_closed and KEEP_ALIVE not in reply.writes


# Signs of life


@in_virtual_time
async def test_comments_come_between_events_only_and_only_after_silence() -> None:
    source, reply = FakeSource(Timeouts(first_token_s=None, idle_s=None)), FakeReply()
    stream = open_stream(source)
    source.send(ROLE)
    await asyncio.sleep(100)
    assert reply.writes == []
    source.send(text("a"))
    await stream.until_content()
    pumping = asyncio.ensure_future(stream.pump(reply, 15))
    await asyncio.sleep(0)
    event = text("b")
    source.send(event[:20])
    await asyncio.sleep(40)
    source.send(event[20:-1])
    await asyncio.sleep(16)
    source.send(event[-1:])
    source.send(FINISH + DONE)
    source.end()
    await pumping
    assert reply.writes == [ROLE + text("a"), KEEP_ALIVE, KEEP_ALIVE, KEEP_ALIVE, event, FINISH + DONE]


# Unstreamed answers


@in_virtual_time
async def test_a_document_is_whole_however_it_comes() -> None:
    for parts in ([b"all"], [b"a", b"l", b"l"], []):
        source = FakeSource()
        document = Document(source, 100)
        for part in parts:
            document.feed(part)
        document.finish(None)
        assert await document.read() == b"".join(parts)
        source.close()


@in_virtual_time
async def test_a_document_that_breaks_off_raises() -> None:
    source = FakeSource()
    document = Document(source, 100)
    document.feed(json.dumps({"a": 1}).encode())
    document.finish(Unavailable("gone"))
    with pytest.raises(Unavailable):
        await document.read()
    source.close()


@in_virtual_time
async def test_a_document_over_its_limit_is_refused_even_if_it_had_come_whole() -> None:
    source = FakeSource()
    document = Document(source, 100)
    document.feed(b"x" * 101)
    assert source.is_closed
    document.finish(None)
    with pytest.raises(ProtocolError):
        await document.read()

"""The edge of the request path: too many, shutting down, and mistakes of our own."""

import asyncio
import logging

import pytest

from gateway.streaming.relay import EventStream
from tests.support.http import CHAT, chat_body
from tests.support.replay import (
    DONE,
    NO_RESPONSE,
    ROLE,
    ScriptedResponse,
    chunk,
    completion,
    full_response,
    stream,
    until,
)
from tests.support.serving import OPEN_CONFIG, ServeText, Serving

MISTAKE = ScriptedResponse(error=ZeroDivisionError("a secret path"))  # type: ignore[arg-type]


async def test_a_mistake_of_our_own_is_500_and_logged_with_the_id(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    serving.line.play(a=MISTAKE)
    async with serving.connect() as client:
        client.chat(headers={"x-request-id": "mine-1"})
        answer = await client.read_answer()
        assert (answer.status, answer.error()["code"]) == (500, "internal_error")
        assert b"secret" not in answer.body
        assert b"Error" not in answer.body
        assert (answer.header("x-request-id"), answer.header("connection")) == ("mine-1", "close")
        assert await client.read_rest() == b""
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.request_id == "mine-1"  # type: ignore[attr-defined]
    (x,) = serving.line.reporter.filed
    assert (x.outcome, x.status) == ("failed", 500)
    assert serving.line.services.running == {}
    assert serving.line.endpoints["a/m-a"].in_flight == 0


async def test_a_mistake_in_the_middle_of_a_stream_cuts_the_connection(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: EventStream) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(EventStream, "_finish", fail)
    serving.line.play(a=stream())
    async with serving.connect() as client:
        client.chat(stream=True)
        assert (await client.read_head()).status == 200
        rest = await client.read_rest()
        assert not rest.endswith(b"0\r\n\r\n")  # nobody can take it for complete
        assert b"internal_error" not in rest
        assert b"HTTP/1.1" not in rest
    assert [record.message for record in caplog.records] == ["unexpected failure of a request"]


async def test_one_request_more_than_allowed_is_503(serve_text: ServeText) -> None:
    serving = await serve_text(OPEN_CONFIG + "server: {limits: {in_flight: 1}}\n")
    serving.line.play(a=stream(ROLE, chunk("one "), is_open=True))
    async with serving.connect() as one, serving.connect() as other:
        one.chat(stream=True)
        await one.read_head()
        other.chat()
        answer = await other.read_answer()
        assert (answer.status, answer.error()["code"]) == (503, "overloaded")
        assert answer.header("retry-after") == "1"
        serving.line.transport.answers[0].receive(chunk(finish="stop") + DONE)
        serving.line.transport.answers[0].end(None)
        await until(lambda: not serving.line.services.running)
        serving.line.play(a=full_response(completion()))
        other.chat()
        assert (await other.read_answer()).status == 200


async def test_not_ready_at_once_but_serving_while_it_drains(serving: Serving) -> None:
    serving.line.services.draining = True
    serving.line.play(a=full_response(completion()))
    async with serving.connect() as client:
        client.request("GET", "/ready")
        assert (await client.read_answer()).status == 503
        client.chat()
        answer = await client.read_answer()
        assert (answer.status, answer.header("connection")) == (200, "close")
        assert await client.read_rest() == b""


async def test_new_requests_are_refused_and_their_connection_ended(serving: Serving) -> None:
    serving.line.services.refuse_new()
    async with serving.connect() as client:
        client.chat()
        answer = await client.read_answer()
        assert (answer.status, answer.error()["code"]) == (503, "shutting_down")
        assert (answer.header("connection"), answer.header("retry-after")) == ("close", "1")
        assert await client.read_rest() == b""


async def test_streams_that_are_cut_end_with_an_error_event(serving: Serving) -> None:
    serving.line.play(a=stream(ROLE, chunk("one "), is_open=True))
    async with serving.connect() as client:
        client.chat(stream=True)
        head = await client.read_head()
        assert head.status == 200
        first = await client.read_chunk()
        assert b"one " in first
        serving.line.services.cut_running()
        last = await client.read_chunk()
        assert last.startswith(b'data: {"error"')
        assert b"shutting_down" in last
        assert await client.read_chunk() == b""
    assert DONE not in first + last
    assert serving.line.transport.wires[0].is_aborted
    (x,) = serving.line.reporter.filed
    assert (x.outcome, x.status) == ("failed", 200)


async def test_requests_that_are_cut_before_their_answer_get_503(serving: Serving) -> None:
    serving.line.play(a=NO_RESPONSE)
    async with serving.connect() as client:
        client.chat()
        await until(lambda: len(serving.line.transport.calls) == 1)
        serving.line.services.cut_running()
        answer = await client.read_answer()
        assert (answer.status, answer.error()["code"]) == (503, "shutting_down")
        assert answer.header("connection") == "close"
        assert await client.read_rest() == b""


@pytest.mark.parametrize("play", [NO_RESPONSE, stream(ROLE, is_open=True), stream(chunk("one "), is_open=True)])
async def test_a_client_that_leaves_ends_the_call_to_the_provider(serving: Serving, play: ScriptedResponse) -> None:
    serving.line.play(a=play)
    async with serving.connect() as client:
        client.chat(stream=True)
        await until(lambda: len(serving.line.transport.wires) == 1)
    await until(lambda: serving.line.transport.wires[0].is_aborted)
    await until(lambda: not serving.line.services.running)
    (x,) = serving.line.reporter.filed
    assert x.outcome == "abandoned"
    assert serving.line.transport.hosts == ["a.test"]  # nobody else is asked for a client that has left


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_abandoned(serving: Serving) -> None:
    async with serving.connect() as client:
        client.send(b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n" % CHAT.encode())
        client.send(b"content-length: 100\r\n\r\n{")
        await until(lambda: len(serving.line.services.running) == 1)
    await until(lambda: not serving.line.services.running)
    (x,) = serving.line.reporter.filed
    assert (x.outcome, x.status) == ("abandoned", 499)


async def test_many_requests_at_once_are_told_apart(serving: Serving) -> None:
    serving.line.play(a=full_response(completion()))

    async def ask(number: int) -> None:
        async with serving.connect() as client:
            client.request("POST", CHAT, chat_body("auto"), {"x-request-id": f"mine-{number}"})
            answer = await client.read_answer()
            assert (answer.status, answer.header("x-request-id")) == (200, f"mine-{number}")

    async with asyncio.TaskGroup() as group:
        for number in range(30):
            group.create_task(ask(number))
    assert serving.line.endpoints["a/m-a"].in_flight == 0

"""Large bodies whose structure is out of proportion: refused clearly, and the event loop never stands."""

import asyncio
import gc
import json

import pytest

from gateway.core.offload import MEDIUM_BYTES, Offload
from tests.support.http import CHAT
from tests.support.loop_watch import watched_loop
from tests.support.replay import completion, full_response, until
from tests.support.serving import OPEN_CONFIG, ServeText, Serving

SIZE = 31 * 2**20  # the default limit is 32 MiB
TEXT = b'"messages":[{"role":"user","content":"hi"}]'


def filled(before: bytes, item: bytes, after: bytes) -> bytes:
    """Return a body of about `SIZE` bytes that repeats `item`."""
    return b'{"model":"m-a",' + before + item * ((SIZE - len(before)) // len(item)) + after + b"}"


REFUSED = {
    "names": b'{"model":"m-a",' + TEXT + b"".join(b',"%d":1' % n for n in range(2_500_000)) + b"}",
    "the same name": filled(TEXT, b',"x":1', b""),
    "nested names": filled(TEXT + b',"x":{"a":1', b',"abcdefg":1', b"}"),
    "messages": filled(b'"messages":[{"role":"user"}', b',{"role":"user","content":"x"}', b"]"),
    "tools": filled(TEXT + b',"tools":[1', b",{}", b"]"),
    "numbers": filled(TEXT + b',"x":[1', b",1", b"]"),
    "strings": filled(TEXT + b',"x":[1', b',""', b"]"),
    "depth": filled(TEXT + b',"x":', b"[", b""),
    "escapes": filled(b'"messages":[{"role":"user","content":"', b"\\n", b'"}]'),
    "backslashes": filled(b'"messages":[{"role":"user","content":"', b"\\\\", b'"}]'),
    "quotes": filled(b'"messages":[{"role":"user","content":"', b'\\"', b'"}]'),
    "space": filled(TEXT + b',"x":', b" ", b"1"),
    "parts": filled(b'"messages":[{"role":"user","content":[{"type":"x"}', b',{"type":"x"}', b"]}]"),
    "images": filled(b'"messages":[{"role":"user","content":[1', b',{"type":"image_url","image_url":{"url":"x"}}', b"]}]"),
}  # fmt: skip
ACCEPTED = {
    "an image": filled(b'"messages":[{"role":"user","content":"', b"QUJD", b'"}]'),
    "text in UTF-8": filled(b'"messages":[{"role":"user","content":"', "日本語".encode(), b'"}]'),
    "brackets in a string": filled(b'"messages":[{"role":"user","content":"', b"[{,:", b'"}]'),
}


@pytest.mark.parametrize("name", [*REFUSED, *ACCEPTED])
async def test_a_body_at_the_limit_does_not_stop_the_loop(serving: Serving, name: str) -> None:
    serving.line.play(a=full_response(completion()))
    body = REFUSED.get(name) or ACCEPTED[name]
    async with serving.connect() as client:
        gc.freeze()
        with watched_loop() as watch:
            client.request("POST", CHAT, body)
            answer = await client.read_answer()
        gc.unfreeze()
    assert watch.callback_s > 0
    assert answer.status == (400 if name in REFUSED else 200)
    if name in REFUSED:
        assert answer.error()["code"] == "invalid_json"
        assert answer.error()["message"].startswith(("the body has more than ", "the body is nested more than "))
    await until(lambda: not serving.line.services.running)
    assert serving.line.services.bodies.size == 0


@pytest.mark.parametrize(
    "path", ["/v1/messages", "/v1/responses", "/v1/completions", "/v1/embeddings", "/v1/messages/count_tokens"]
)
async def test_every_api_has_the_same_bounds(serving: Serving, path: str) -> None:
    body = json.dumps({"model": "m-a", "x": [0] * 400_000}).encode()
    async with serving.connect() as client:
        client.request("POST", path, body)
        answer = await client.read_answer()
    assert answer.status == 400
    assert b"the body has more than 320000 values" in answer.body


async def test_the_bounds_are_settings(serve_text: ServeText) -> None:
    serving = await serve_text(OPEN_CONFIG + "server: {limits: {names: 1k, values: 70k}}\n")
    for value, what in ([0] * 70_001, "70000 values"), ([{"a": "x" * 100}] * 1_001, "1000 names"):
        async with serving.connect() as client:
            client.request("POST", CHAT, json.dumps({"model": "m-a", "messages": [], "x": value}).encode())
            assert (await client.read_answer()).error()["message"] == f"the body has more than {what}"


async def test_a_small_body_has_a_bound_on_names_too(serving: Serving) -> None:
    async with serving.connect() as client:
        for names in 1001, 3000:
            client.request(
                "POST", CHAT, b'{"model":"m-a",' + TEXT + b"".join(b',"%d":1' % n for n in range(names)) + b"}"
            )
            assert (await client.read_answer()).error()[
                "message"
            ] == "the body has more than 1000 names at the top level"


async def test_bodies_in_flight_are_bounded(serve_text: ServeText) -> None:
    serving = await serve_text(OPEN_CONFIG + "server: {limits: {bodies: 4MiB}}\n")
    serving.line.play(a=full_response(completion()))
    held = serving.line.services.bodies
    body = filled(TEXT + b',"x":"', b"a", b'"')[: 3 * 2**20]
    async with serving.connect() as slow:
        slow.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n")
        slow.send(b"content-length: 5000000\r\n\r\n" + body)
        await until(lambda: held.size > 2.9 * 2**20)
        async with serving.connect() as second:
            second.request("POST", CHAT, body + b'"}')
            answer = await second.read_answer()
            assert (answer.status, answer.error()["code"], answer.header("retry-after")) == (503, "overloaded", "1")
        async with serving.connect() as third:
            third.request("POST", CHAT, b'{"model":"m-a",' + TEXT + b',"x":"' + b"a" * (MEDIUM_BYTES // 2) + b'"}')
            assert (await third.read_answer()).status == 200
    await until(lambda: not serving.line.services.running)
    assert held.size == 0


async def test_h2c_is_ignored(serving: Serving) -> None:
    serving.line.play(a=full_response(completion()))
    body = b'{"model":"m-a",' + TEXT + b"}"
    async with serving.connect() as client:
        for _ in range(2):
            client.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n")
            client.send(b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAA\r\n")
            client.send(b"content-length: %d\r\n\r\n%b" % (len(body), body))
            assert (await asyncio.wait_for(client.read_answer(), 5)).status == 200


async def test_the_watch_notices_a_loop_that_stands() -> None:
    with pytest.raises(AssertionError, match="the loop stood"), watched_loop(0.02):
        asyncio.get_running_loop().call_soon(lambda: sum(range(10_000_000)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_the_watch_notices_a_thread_that_keeps_the_lock() -> None:
    with pytest.raises(AssertionError, match="a thread kept the lock"), watched_loop(0.02):
        await Offload().run(1, lambda: sum(range(10_000_000)))

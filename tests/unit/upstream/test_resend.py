"""How often a provider gets a request that it reads on a kept connection and does not answer (RFC 9110, 9.2.2)."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final

import pytest

from gateway.core.exchange import Exchange
from gateway.upstream import request as upstream_request
from gateway.upstream.attempt import STALE
from tests.support.passthrough import PassthroughServer, passthrough_server, receive_request
from tests.support.upstream import Peer, ok

WITHIN_S: Final = 0.4  # in place of a second
AT_ONCE, SOON, LATE = 0.0, 0.2, 0.7
CHAT: Final = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
ANSWER: Final = (
    b'{"id":"c","object":"chat.completion","data":[{"embedding":[0.5],"index":0}],"usage":{"prompt_tokens":1},'
    b'"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}'
)
REQUESTS: Final[dict[str, tuple[str, str, Any]]] = {
    "chat": ("POST", "/v1/chat/completions", CHAT),
    "embeddings": ("POST", "/v1/embeddings", {"model": "auto", "input": "hello"}),
    "batches": ("POST", "/v1/messages/batches", {"requests": []}),
    "upload": ("POST", "/v1/files", b"x" * 300_000),
    "get": ("GET", "/v1/files", None),
    "delete": ("DELETE", "/v1/files/f-1", None),
}


@pytest.fixture(autouse=True)
def scaled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(upstream_request, "RESEND_WITHIN_S", WITHIN_S)
    yield


class Deaf:
    """Answers each connection's first request `good` times in all, and closes each later one `wait_s` after it has read it."""

    def __init__(self, wait_s: float) -> None:
        self.asked = 0
        self.is_warm = False
        self._wait_s = wait_s

    async def __call__(self, peer: Peer) -> None:
        while True:
            await receive_request(peer)
            if not self.is_warm:
                self.is_warm = True
                await peer.send(ok(ANSWER, b"content-type: application/json\r\n"))
                continue
            self.asked += 1
            await asyncio.sleep(self._wait_s)
            return


async def asked(name: str, wait_s: float, retry: str) -> tuple[int, Exchange, int]:
    """Return how often the provider got one request on a kept connection, the exchange, and the client's status."""
    method, path, body = REQUESTS[name]
    provider = Deaf(wait_s)

    def edit(text: str) -> str:
        return (
            text.replace("models: [none-of-them-*]", 'models: ["*"]')
            .replace("answer: 400ms", "answer: 5s")
            .replace("{retry: {backoff: 1ms}}", retry)
        )

    async with passthrough_server(provider, edit=edit) as gateway:
        await warm_up(gateway, path)
        answer = await gateway.ask(method, path, body)
        return provider.asked, await gateway.last(), answer.status


async def warm_up(gateway: PassthroughServer, path: str) -> None:
    """Leave a kept connection to the provider."""
    assert (await gateway.ask("GET", "/v1/files")).status == 200
    await gateway.last()


@pytest.mark.parametrize(
    ("name", "wait_s", "times"),
    [
        ("chat", AT_ONCE, 2),
        ("chat", SOON, 2),
        ("chat", LATE, 1),
        ("embeddings", AT_ONCE, 2),
        ("embeddings", SOON, 2),
        ("embeddings", LATE, 1),
        ("batches", AT_ONCE, 2),
        ("batches", SOON, 1),
        ("batches", LATE, 1),
        ("upload", AT_ONCE, 1),
        ("upload", SOON, 1),
        ("upload", LATE, 1),
        ("get", AT_ONCE, 2),
        ("get", LATE, 2),
        ("delete", LATE, 2),
    ],
)
async def test_a_request_goes_out_again_only_where_that_does_no_harm(name: str, wait_s: float, times: int) -> None:
    count, exchange, status = await asked(name, wait_s, "{retry: none}")
    assert (count, status) == (times, 502)
    assert len(exchange.attempts) == times
    assert [one.code for one in exchange.attempts] == [STALE] * (times - 1) + ["upstream_unavailable"]
    assert all(one.ended_at >= one.started_at for one in exchange.attempts)


@pytest.mark.parametrize(("wait_s", "times"), [(AT_ONCE, 3), (LATE, 3)])
async def test_it_counts_as_one_of_the_attempts_of_its_pool(wait_s: float, times: int) -> None:
    count, exchange, _ = await asked("chat", wait_s, "{retry: {attempts: 3, backoff: 1ms}}")
    assert (count, len(exchange.attempts)) == (times, times)


async def test_the_breaker_does_not_count_it() -> None:
    provider = Deaf(AT_ONCE)
    async with passthrough_server(
        provider, edit=lambda text: text.replace("{retry: {backoff: 1ms}}", "{retry: none}")
    ) as gateway:
        await warm_up(gateway, "/v1/files")
        await gateway.ask("GET", "/v1/files")
        assert provider.asked == 2
        counts = {endpoint.breaker._count for endpoint in gateway.line.endpoints.values()}
        assert counts <= {0, 1}

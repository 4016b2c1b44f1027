"""Where below its base URL a provider is asked."""

import asyncio
import json

import pytest

from gateway.config.spec import ProviderSpec
from gateway.providers.base_url import BaseUrl
from gateway.providers.openai import OpenAI
from gateway.providers.transport import Transport
from gateway.upstream.dispatcher import dispatch
from tests.support.clock import FakeClock
from tests.support.replay import ReplayWorker, completion
from tests.support.upstream import Peer, upstream

DEPLOYMENTS = "https://x.openai.azure.com/openai/deployments/{model}?api-version=2024-10-21"
V1 = "https://x.openai.azure.com/openai/v1/"


@pytest.mark.parametrize(
    ("url", "below", "model", "target"),
    [
        ("https://x", "/chat/completions", "m", "/chat/completions"),
        ("https://x/v1/", "/chat/completions", "m", "/v1/chat/completions"),
        (V1, "/chat/completions", "m", "/openai/v1/chat/completions"),
        (DEPLOYMENTS, "/c", "gpt-4o", "/openai/deployments/gpt-4o/c?api-version=2024-10-21"),
        (DEPLOYMENTS, "/c?beta=true", "m", "/openai/deployments/m/c?api-version=2024-10-21&beta=true"),
        ("https://x/v1?a=1", "/c", "m", "/v1/c?a=1"),
        ("https://x/d-{model}/z", "/c", "org/m 1?é", "/d-org%2Fm%201%3F%C3%A9/z/c"),
    ],
)
def test_a_call_goes_below_the_path_and_takes_the_query_along(url: str, below: str, model: str, target: str) -> None:
    assert BaseUrl(url).target(below, model) == target


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://x/v1", "/v1/models"),
        (DEPLOYMENTS, "/openai/models?api-version=2024-10-21"),
        ("https://x/a/m-{model}/v1", "/a/models"),
        ("https://x/{model}", "/models"),
    ],
)
def test_what_is_about_no_model_goes_to_what_stands_before_theirs(url: str, target: str) -> None:
    assert BaseUrl(url).target_without_model("/models") == target


def test_a_provider_with_a_place_for_each_model_is_checked_where_it_lists_them() -> None:
    provider = OpenAI(ProviderSpec("azure", "openai", DEPLOYMENTS))
    assert provider.path_names_model
    assert (provider.health_check_head("") or b"").startswith(b"GET /openai/models?api-version=2024-10-21 HTTP/1.1\r\n")
    assert not OpenAI(ProviderSpec("azure", "openai", V1)).path_names_model


@pytest.mark.parametrize(
    ("path", "target"),
    [
        (
            "/openai/deployments/{model}?api-version=2024-10-21",
            "/openai/deployments/gpt%2F4o/%s?api-version=2024-10-21",
        ),
        ("/openai/v1/", "/openai/v1/%s"),
        ("/openai/v1?api-version=preview", "/openai/v1/%s?api-version=preview"),
    ],
    ids=["deployments", "v1", "v1-preview"],
)
async def test_azure_is_asked_as_it_wants_to_be(clock: FakeClock, path: str, target: str) -> None:
    heads = []

    async def answer(peer: Peer) -> None:
        head = await peer.reader.readuntil(b"\r\n\r\n")
        heads.append(head.decode().split("\r\n"))
        length = int(next(line for line in heads[-1] if line.startswith("content-length: ")).partition(" ")[2])
        assert json.loads(await peer.reader.readexactly(length))["model"] == "gpt/4o"
        body = completion()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body))
        await peer.send(body)
        await peer.gone.wait()

    async with upstream(answer) as served:
        url = f"http://127.0.0.1:{served.origin.port}{path}"
        line = ReplayWorker(
            f"""
version: 1
providers:
  azure: {{kind: openai, url: "{url}", key: secret, auth: api-key}}
models:
  gpt-4o: {{provider: azure, id: gpt/4o, price: {{input: 1, output: 2}}}}
  other: {{provider: azure, price: {{input: 1, output: 2}}}}
routes:
  - {{name: all, match: ["*"], to: requested}}
""",
            clock,
        )
        line.services.transport = transport = Transport()
        x = line.exchange("gpt-4o")
        with await asyncio.wait_for(dispatch(x, line.path(x), line.snapshot, line.services), 5) as found:
            assert found.body == completion()
        transport.close()
        for peer in served.peers:
            peer.gone.set()
    (head,) = heads
    assert head[0] == f"POST {target.replace('%s', 'chat/completions')} HTTP/1.1"
    assert "api-key: secret" in head
    assert not any(line.startswith("authorization") for line in head)

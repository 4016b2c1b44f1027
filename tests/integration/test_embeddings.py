"""The official OpenAI client asks for embeddings: alone and many at a time, through the real gateway over the simulator."""

import asyncio
import base64
import struct
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest

from gateway.simulator.embeddings import vector
from tests.support.gateway import GatewayProcess, running_gateway
from tests.support.http import fetch
from tests.support.simulator import SimulatorProcess

CALLS = 64

TEXT = """
providers:
  sim: {{kind: openai, url: "{url}", key: "${{SIM_KEY}}"}}
  chats: {{kind: anthropic, url: "{url}", key: "${{SIM_KEY}}"}}
models:
  gathered: {{provider: sim, id: sim-dimensions8-head20ms, price: {{input: 1, output: 0}}, batch: {{max: 64, wait: 100ms}}}}
  small: {{provider: sim, id: sim-dimensions8-seed7-batch5, price: {{input: 1, output: 0}}, batch: {{wait: 50ms}}}}
  sim-*: {{provider: sim, price: {{input: 1, output: 0}}}}
  chat: {{provider: chats, price: {{input: 1, output: 0}}}}
defaults: {{breaker: none}}
routes:
  - {{name: direct, match: ["*"], to: requested}}
"""


@pytest.fixture(scope="module")
def gateway(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with running_gateway(tmp_path_factory.mktemp("gateway"), TEXT.format(url=simulator.url)) as process:
        yield process


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.base_url, api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture
async def async_client(gateway: GatewayProcess) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key="any", max_retries=0) as client:
        yield client


def near(text: str, dimensions: int) -> Any:
    return pytest.approx(list(vector(text, dimensions)), abs=1e-6)


def test_vectors_come_in_order_with_their_usage(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model="sim-dimensions16", input=["one", "two words", "drei"])
    assert [item.embedding for item in answer.data] == [near(text, 16) for text in ("one", "two words", "drei")]
    assert [item.index for item in answer.data] == [0, 1, 2]
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0


@pytest.mark.parametrize("model", ["sim-dimensions8", "gathered"])
@pytest.mark.parametrize("form", ["float", "base64"])
def test_floats_and_base64_say_the_same(client: openai.OpenAI, model: str, form: Any) -> None:
    answer = client.embeddings.create(model=model, input="one", encoding_format=form)
    found: Any = answer.data[0].embedding
    if isinstance(found, str):
        found = struct.unpack("<8f", base64.b64decode(found))
    assert list(found) == near("one", 8)


@pytest.mark.parametrize("form", ["float", "base64"])
async def test_many_calls_at_a_time_are_few_at_the_provider(
    async_client: openai.AsyncOpenAI, simulator: SimulatorProcess, form: Any
) -> None:
    before = simulator.stats("sim-dimensions8-head20ms")["requests"]
    texts = [f"text number {number}" for number in range(CALLS)]
    answers = await asyncio.gather(
        *(
            async_client.embeddings.with_raw_response.create(model="gathered", input=text, encoding_format=form)
            for text in texts
        )
    )
    counted = 0
    for text, raw in zip(texts, answers, strict=True):
        answer = raw.parse()
        found: Any = answer.data[0].embedding
        if isinstance(found, str):
            found = struct.unpack("<8f", base64.b64decode(found))
        assert list(found) == near(text, 8) and [item.index for item in answer.data] == [0]
        assert raw.headers["x-gateway-attempts"] == "1"
        counted += answer.usage.prompt_tokens
    assert simulator.stats("sim-dimensions8-head20ms")["requests"] - before <= 4
    assert counted == 3 * CALLS


async def test_a_bad_input_among_many_fails_alone(async_client: openai.AsyncOpenAI) -> None:
    texts = ["a", "", "b", "c", "", "d"]
    found = await asyncio.gather(
        *(async_client.embeddings.create(model="gathered", input=text) for text in texts), return_exceptions=True
    )
    for text, one in zip(texts, found, strict=True):
        if text:
            assert isinstance(one, openai.types.CreateEmbeddingResponse)
            assert one.data[0].embedding == near(text, 8)
        else:
            assert isinstance(one, openai.BadRequestError) and "empty" in one.message


async def test_a_provider_that_takes_fewer_is_asked_for_fewer(async_client: openai.AsyncOpenAI) -> None:
    texts = [f"text {number}" for number in range(16)]
    found = await asyncio.gather(*(async_client.embeddings.create(model="small", input=text) for text in texts))
    assert [one.data[0].embedding for one in found] == [near(text, 8) for text in texts]


@pytest.mark.parametrize(
    ("model", "given", "kind"),
    [
        ("sim-dimensions8", [], openai.BadRequestError),
        ("sim-dimensions8", "", openai.BadRequestError),
        ("sim-error500", "a", openai.InternalServerError),
        ("sim-error429", "a", openai.RateLimitError),
        ("sim-cut_head", "a", openai.InternalServerError),
        ("sim-html", "a", openai.InternalServerError),
        ("chat", "a", openai.BadRequestError),
        ("nonesuch", "a", openai.NotFoundError),
    ],
)
def test_failures_raise_the_classes_that_callers_catch(
    client: openai.OpenAI, model: str, given: Any, kind: type[openai.APIStatusError]
) -> None:
    with pytest.raises(kind) as caught:
        client.embeddings.create(model=model, input=given)
    assert caught.value.request_id is not None


def test_calls_are_in_the_metrics_and_the_log(client: openai.OpenAI, gateway: GatewayProcess) -> None:
    client.embeddings.create(model="sim-dimensions8", input="three more words")
    page = fetch(gateway.admin_address, "/metrics").body.decode()
    assert 'llm_requests_total{model="sim-*",status="200"}' in page

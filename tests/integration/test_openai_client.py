"""The official OpenAI client against the real gateway: the simulator behind it, and the embedded model."""

from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.support.gateway import GatewayProcess, running_gateway, simulator_config
from tests.support.simulator import SimulatorProcess

KEY = "client-key-0123456789"
MESSAGES: Any = [{"role": "user", "content": "Say something nice"}]

LOCAL = """
providers:
  local: {kind: llamacpp, weights: smollm2-135m}
models:
  smollm2: {provider: local, id: smollm2-135m, price: {input: 0, output: 0}, quality: 0.1, context: 2k}
pools:
  local: {members: [smollm2]}
routes:
  - {name: direct, match: [smollm2], to: requested}
  - {name: auto, match: [auto], to: local}
"""


@pytest.fixture(scope="module")
def gateway(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with running_gateway(tmp_path_factory.mktemp("gateway"), simulator_config(simulator.url)) as process:
        yield process


@pytest.fixture(scope="module")
def local_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    pytest.importorskip("xllamacpp", reason="the extra `local` is not installed")
    with running_gateway(tmp_path_factory.mktemp("local"), LOCAL) as process:
        yield process


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
async def async_client(gateway: GatewayProcess) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0) as client:
        yield client


def test_an_answer_is_read_whole(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="sim-tokens7", messages=MESSAGES)
    assert answer.choices[0].message.content == "lorem café dolor naïve amet 日本語 elit "
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None and answer.usage.completion_tokens == 7


def test_a_stream_is_read_to_its_end(client: openai.OpenAI) -> None:
    with client.chat.completions.create(model="sim-tokens50", messages=MESSAGES, stream=True) as stream:
        chunks = list(stream)
    assert len([chunk for chunk in chunks if chunk.choices[0].delta.content]) == 50
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)


def test_usage_of_a_stream_comes_where_it_is_asked_for(client: openai.OpenAI) -> None:
    options: Any = {"include_usage": True}
    model = "sim-tokens5-prompt_tokens11-cached_tokens4"
    with client.chat.completions.create(model=model, messages=MESSAGES, stream=True, stream_options=options) as stream:
        *chunks, last = list(stream)
    assert all(chunk.usage is None for chunk in chunks)
    assert last.choices == [] and last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (11, 5)
    assert last.usage.prompt_tokens_details is not None and last.usage.prompt_tokens_details.cached_tokens == 4


def test_tool_calls_arrive_in_deltas(client: openai.OpenAI) -> None:
    tools: Any = [{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}]
    whole = client.chat.completions.create(model="sim-tools2-tokens9", messages=MESSAGES, tools=tools)
    with client.chat.completions.stream(model="sim-tools2-tokens9", messages=MESSAGES, tools=tools) as stream:
        final = stream.get_final_completion()
    calls = [message.tool_calls or [] for message in (whole.choices[0].message, final.choices[0].message)]
    arguments = [[call.function.arguments for call in one if call.type == "function"] for one in calls]
    assert arguments[0] == arguments[1] and len(arguments[0]) == 2
    assert final.choices[0].finish_reason == "tool_calls"


async def test_the_asynchronous_client_reads_both(async_client: openai.AsyncOpenAI) -> None:
    answer = await async_client.chat.completions.create(model="sim-tokens7", messages=MESSAGES)
    stream = await async_client.chat.completions.create(model="sim-tokens7", messages=MESSAGES, stream=True)
    async with stream:
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert text == answer.choices[0].message.content


async def test_leaving_an_asynchronous_stream_leaves_the_provider(
    async_client: openai.AsyncOpenAI, simulator: SimulatorProcess
) -> None:
    model = "sim-tokens100-rate2-seed901"
    stream = await async_client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
    async with stream:
        async for _ in stream:
            break
    simulator.wait_until("aborted", 1, model)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "kind", "status"),
    [
        ("sim-error400", openai.BadRequestError, 400),
        ("sim-error404", openai.NotFoundError, 404),
        ("sim-error409", openai.ConflictError, 409),
        ("sim-error422", openai.UnprocessableEntityError, 422),
        ("sim-error429-retry_after7s", openai.RateLimitError, 429),
        ("sim-error500", openai.InternalServerError, 500),
        ("sim-error503", openai.InternalServerError, 503),
        ("sim-error401", openai.InternalServerError, 502),  # our key is refused, not the client's
        ("sim-error403", openai.InternalServerError, 502),
        ("sim-cut_head", openai.InternalServerError, 502),
        ("sim-cut_after0", openai.InternalServerError, 502),  # of a stream: before its first content, so still a status
        ("sim-html", openai.InternalServerError, 502),
        ("sim-garbage", openai.InternalServerError, 502),
        ("nonesuch", openai.NotFoundError, 404),
    ],
)
def test_failures_raise_the_classes_that_callers_catch(
    client: openai.OpenAI, model: str, kind: type[openai.APIStatusError], status: int, stream: bool
) -> None:
    with pytest.raises(kind) as caught:
        client.chat.completions.create(model=model, messages=MESSAGES, stream=stream)
    assert caught.value.status_code == status
    assert caught.value.request_id is not None and caught.value.request_id.startswith("req-")
    if status == 429:
        assert caught.value.response.headers["retry-after"] == "7"


def test_a_stream_that_breaks_off_raises_in_the_middle(client: openai.OpenAI) -> None:
    texts = []
    with (
        pytest.raises(openai.APIError, match="broke off"),
        client.chat.completions.create(model="sim-tokens9-cut_after3", messages=MESSAGES, stream=True) as stream,
    ):
        for chunk in stream:
            texts.append(chunk.choices[0].delta.content)
    assert "".join(text or "" for text in texts) == "lorem café dolor "


def test_models_are_listed_and_looked_up(client: openai.OpenAI, gateway: GatewayProcess) -> None:
    assert [model.id for model in client.models.list()] == ["sim-*"]
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nonesuch")


def test_a_wrong_key_is_an_authentication_error(simulator: SimulatorProcess, tmp_path: Path) -> None:
    digest = sha256(KEY.encode()).hexdigest()
    tenants = f'tenants:\n  acme: {{keys: ["sha256:{digest}"], models: ["sim-tokens*"]}}\n'
    with running_gateway(tmp_path, simulator_config(simulator.url, tenants)) as gateway:
        with openai.OpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0) as client:
            assert client.chat.completions.create(model="sim-tokens1", messages=MESSAGES).choices
            with pytest.raises(openai.NotFoundError):
                client.chat.completions.create(model="sim-error500", messages=MESSAGES)
        with (
            openai.OpenAI(base_url=gateway.base_url, api_key="wrong", max_retries=0) as client,
            pytest.raises(openai.AuthenticationError),
        ):
            client.chat.completions.create(model="sim-tokens1", messages=MESSAGES)


def test_the_embedded_model_answers_for_real_even_while_it_warms_up(local_gateway: GatewayProcess) -> None:
    with openai.OpenAI(base_url=local_gateway.base_url, api_key=KEY, max_retries=0) as client:
        question: Any = [{"role": "user", "content": "What is 2+2?"}]
        answer = client.chat.completions.create(model="smollm2", messages=question, max_tokens=24, temperature=0)
    assert "4" in (answer.choices[0].message.content or "")
    assert answer.usage is not None and answer.usage.completion_tokens <= 24


def test_the_embedded_model_streams_for_real(local_gateway: GatewayProcess) -> None:
    with (
        openai.OpenAI(base_url=local_gateway.base_url, api_key=KEY, max_retries=0) as client,
        client.chat.completions.create(
            model="auto", messages=MESSAGES, max_tokens=12, stream=True, stream_options={"include_usage": True}
        ) as stream,
    ):
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices).strip()
    assert chunks[-1].usage is not None and 1 <= chunks[-1].usage.completion_tokens <= 12

"""The official client for chat, responses and the small endpoints, its own types strict, against the running simulator."""

import io
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.support.http import fetch
from tests.support.simulator import SimulatorProcess

MESSAGES: Any = [{"role": "user", "content": "Say something nice"}]
PARAMETERS = {"type": "object", "properties": {"k": {"type": "integer"}}}
TOOLS: Any = [{"type": "function", "function": {"name": "step", "parameters": PARAMETERS}}]
FLAT_TOOLS: Any = [{"type": "function", "name": "step", "parameters": PARAMETERS, "strict": False}]
WORDS = "lorem café dolor naïve amet "


class Person(BaseModel):
    """What is asked for in structured output."""

    name: str
    age: int


@pytest.fixture
def client(simulator: SimulatorProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=simulator.url, api_key="k" * 20, max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


@pytest.fixture
def lenient(client: openai.OpenAI) -> openai.OpenAI:
    """For what the vendor's own types don't allow, though it is what the vendor sends and the client expects."""
    return client.with_options(_extra_kwargs={"_strict_response_validation": False})


@pytest.fixture
async def async_client(simulator: SimulatorProcess) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=simulator.url, api_key="k" * 20, max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


# Chat


@pytest.mark.parametrize("model", ["sim-tokens5", "sim-think4-tokens5", "sim-tools2-tokens7", "sim-refuse-tokens3"])
def test_a_chat_stream_put_together_is_the_answer(client: openai.OpenAI, model: str) -> None:
    asked: Any = {"model": model, "messages": MESSAGES, "tools": TOOLS, "max_tokens": 50}
    with client.chat.completions.stream(**asked) as stream:
        for _ in stream:
            pass
        streamed = stream.get_final_completion().choices[0]
    whole = client.chat.completions.create(**asked).choices[0]
    assert streamed.finish_reason == whole.finish_reason
    assert (streamed.message.content or None, streamed.message.refusal or None) == (
        whole.message.content or None,
        whole.message.refusal or None,
    )
    calls = [[call.function.arguments for call in one.message.tool_calls or []] for one in (streamed, whole)]
    assert calls[0] == calls[1]


async def test_chat_is_the_same_without_waiting(async_client: openai.AsyncOpenAI) -> None:
    answer = await async_client.chat.completions.create(model="sim-tokens5", messages=MESSAGES)
    stream = await async_client.chat.completions.create(model="sim-tokens5", messages=MESSAGES, stream=True)
    pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert answer.choices[0].message.content == "".join(pieces) == WORDS


def test_twenty_chat_turns_with_a_tool(client: openai.OpenAI) -> None:
    turns: Any = list(MESSAGES)
    steps: list[str] = []
    while True:
        with client.chat.completions.stream(model="sim-script20-echo", messages=turns, tools=TOOLS) as stream:
            stream.until_done()
            message = stream.get_final_completion().choices[0].message
        if not message.tool_calls:
            break
        turns.append(message.to_dict())
        for call in message.tool_calls:
            steps.append(call.function.arguments)
            turns.append({"role": "tool", "tool_call_id": call.id, "content": f"result {len(steps)}"})
    assert steps == [f'{{"k": {step}}}' for step in range(1, 21)]
    assert message.content == "result 20"


def test_structured_output_is_parsed(client: openai.OpenAI) -> None:
    chat = client.chat.completions.parse(model="sim", messages=MESSAGES, response_format=Person)
    assert chat.choices[0].message.parsed == Person(name="lorem", age=7)
    response = client.responses.parse(model="sim", input="Who?", text_format=Person)
    assert response.output_parsed == Person(name="lorem", age=7)


# Legacy completions


def test_completions_answer_each_prompt(client: openai.OpenAI, lenient: openai.OpenAI) -> None:
    asked: Any = {"model": "sim-tokens2", "prompt": ["one two", "three"]}
    whole = client.completions.create(**asked, echo=True)
    assert [choice.text for choice in whole.choices] == ["one twolorem café ", "threelorem café "]
    assert whole.usage is not None and (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (3, 4)
    texts = ["", ""]
    for chunk in lenient.completions.create(**asked, stream=True, stream_options={"include_usage": True}):
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    assert texts == ["lorem café "] * 2
    assert chunk.usage == whole.usage


# Responses


@pytest.mark.parametrize(
    "model",
    [
        "sim-tokens5-cached_tokens2",
        "sim-think4-tokens5",
        "sim-tools2-tokens7",
        "sim-refuse-tokens3",
        "sim-think2-script1-echo",
    ],
)
def test_a_stream_of_a_response_ends_in_the_response(client: openai.OpenAI, model: str) -> None:
    asked: Any = {"model": model, "input": "Say something nice", "tools": FLAT_TOOLS}
    numbers, texts = [], ""
    with client.responses.stream(**asked) as stream:
        for event in stream:
            numbers.append(event.sequence_number)
            texts += event.delta if event.type == "response.output_text.delta" else ""
        streamed = stream.get_final_response()
    whole = client.responses.create(**asked)
    assert numbers == list(range(len(numbers)))
    assert texts == whole.output_text == streamed.output_text
    assert _bare(streamed) == _bare(whole)
    assert streamed.usage == whole.usage


async def test_responses_are_the_same_without_waiting(async_client: openai.AsyncOpenAI) -> None:
    answer = await async_client.responses.create(model="sim-tokens5", input="Say something nice")
    async with async_client.responses.stream(model="sim-tokens5", input="Say something nice") as stream:
        streamed = await stream.get_final_response()
    assert answer.output_text == streamed.output_text == WORDS


def test_a_response_can_be_incomplete_or_failed(client: openai.OpenAI) -> None:
    cut = client.responses.create(model="sim", input="hello", max_output_tokens=3)
    assert cut.status == "incomplete" and cut.incomplete_details is not None
    assert cut.incomplete_details.reason == "max_output_tokens"
    last = list(client.responses.create(model="sim", input="hello", max_output_tokens=3, stream=True))[-1]
    assert last.type == "response.incomplete" and last.response.output_text == cut.output_text
    failed = list(client.responses.create(model="sim-fail_after2", input="hello", stream=True))[-1]
    assert failed.type == "response.failed" and failed.response.error is not None
    assert client.responses.create(model="sim-fail_after2", input="hello").status == "failed"


def test_twenty_turns_of_responses_with_a_tool(client: openai.OpenAI) -> None:
    items: Any = [{"role": "user", "content": "Go"}]
    steps = 0
    while True:
        with client.responses.stream(model="sim-script20-echo", input=items, tools=FLAT_TOOLS) as stream:
            response = stream.get_final_response()
        items += [item.to_dict() for item in response.output]
        calls = [item for item in response.output if item.type == "function_call"]
        for call in calls:
            steps += 1
            assert call.arguments == f'{{"k": {steps}}}'
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": f"result {steps}"})
        if not calls:
            break
    assert steps == 20 and response.output_text == "result 20"


# The small endpoints


def test_embeddings_follow_from_the_text_alone(client: openai.OpenAI, lenient: openai.OpenAI) -> None:
    both = lenient.embeddings.create(model="sim", input=["one", "two three"])
    alone = client.embeddings.create(model="sim", input="two three", encoding_format="float")
    assert [one.index for one in both.data] == [0, 1] and len(both.data[0].embedding) == 256
    assert both.data[1].embedding == pytest.approx(alone.data[0].embedding)
    assert both.usage.prompt_tokens == 3
    assert len(lenient.embeddings.create(model="sim", input="one", dimensions=8).data[0].embedding) == 8


def test_one_bad_input_fails_the_whole_call(lenient: openai.OpenAI) -> None:
    for given in (["one", ""], [], ""):
        with pytest.raises(openai.BadRequestError):
            lenient.embeddings.create(model="sim", input=given)
    with pytest.raises(openai.BadRequestError, match="at most 2 inputs"):
        lenient.embeddings.create(model="sim-batch2", input=["a", "b", "c"])


def test_calls_can_be_counted(lenient: openai.OpenAI, simulator: SimulatorProcess) -> None:
    for inputs in (["a"], ["a", "b", "c"]):
        lenient.embeddings.create(model="sim-seed901", input=inputs)
    told = fetch(simulator.address, "/sim/calls").json()
    assert told["/v1/embeddings"]["sim-seed901"] == {"calls": 2, "inputs": 4, "largest": 3}


def test_moderations_images_and_models(client: openai.OpenAI) -> None:
    judged = client.moderations.create(model="sim", input=["fine", "a flag"])
    assert [one.flagged for one in judged.results] == [False, True]
    images = client.images.generate(model="sim", prompt="a cat", n=2)
    assert images.data is not None and len(images.data) == 2
    assert [model.id for model in client.models.list()] == ["sim"]
    assert client.models.retrieve("sim-tokens3").id == "sim-tokens3"


def test_sound_goes_out_as_a_stream_and_comes_in_as_a_form(client: openai.OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="sim-tokens30-bytes1000", input="hello", voice="alloy"
    ) as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        sound = b"".join(answer.iter_bytes())
    assert len(sound) == 30_000
    text = client.audio.transcriptions.create(model="sim", file=("a.mp3", io.BytesIO(sound))).text
    assert text == "a.mp3 30000 bytes"


def test_files_and_batches(client: openai.OpenAI) -> None:
    file = client.files.create(file=("in.jsonl", b"x" * 5000), purpose="batch")
    assert (file.bytes, file.filename, file.purpose) == (5000, "in.jsonl", "batch")
    assert client.files.retrieve(file.id).bytes == 5000
    assert len(client.files.content(file.id).content) == 5000
    assert len(client.files.content("sim-tokens3-bytes7k").content) == 21_000
    assert client.files.list().data == []
    assert client.files.delete(file.id).deleted
    batch = client.batches.create(completion_window="24h", endpoint="/v1/embeddings", input_file_id=file.id)
    assert (batch.status, batch.input_file_id) == ("validating", file.id)
    assert client.batches.retrieve(batch.id).id == client.batches.cancel(batch.id).id == batch.id


def test_a_deployment_in_the_path_is_the_model(simulator: SimulatorProcess) -> None:
    url = simulator.url.removesuffix("/v1")
    with openai.AzureOpenAI(
        azure_endpoint=url, api_version="2024-10-21", api_key="k" * 20, azure_deployment="sim-tokens5"
    ) as client:
        answer = client.chat.completions.create(model="sim-tokens5", messages=MESSAGES)
    assert answer.model == "sim-tokens5" and answer.choices[0].message.content == WORDS


@pytest.mark.parametrize(
    ("model", "error", "code"),
    [
        ("sim-quota", openai.RateLimitError, "insufficient_quota"),
        ("sim-policy", openai.BadRequestError, "content_policy_violation"),
        ("sim-window2", openai.BadRequestError, "context_length_exceeded"),
        ("sim-error529", openai.InternalServerError, "simulated"),
    ],
)
def test_every_endpoint_refuses_alike(client: openai.OpenAI, model: str, error: Any, code: str) -> None:
    calls: list[Any] = [
        lambda: client.chat.completions.create(model=model, messages=MESSAGES, stream=True),
        lambda: client.responses.create(model=model, input="three words here"),
        lambda: client.completions.create(model=model, prompt="three words here"),
        lambda: client.embeddings.create(model=model, input="three words here"),
        lambda: client.audio.speech.create(model=model, input="three words here", voice="alloy"),
    ]
    for call in calls:
        with pytest.raises(error) as caught:
            call()
        assert caught.value.code == code


def test_resets_are_told(client: openai.OpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="sim-error429-reset_in90.5s", messages=MESSAGES)
    headers = caught.value.response.headers
    assert headers["x-ratelimit-remaining-requests"] == "0" and headers["x-ratelimit-reset-requests"] == "1m30.5s"


def _bare(response: Any) -> Any:
    """Give the items of a response without what differs from one answer to the next."""
    items = [item.to_dict() for item in response.output]
    for item in items:
        for name in ("id", "call_id", "parsed_arguments"):
            item.pop(name, None)
        for part in item.get("content", []):
            part.pop("parsed", None)
    return items

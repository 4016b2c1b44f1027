"""The official client for messages, its own types strict, against the running simulator."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import pytest
from pydantic import BaseModel

from tests.support.simulator import SimulatorProcess

MESSAGES: Any = [{"role": "user", "content": "Say something nice"}]
TOOLS: Any = [{"name": "step", "input_schema": {"type": "object", "properties": {"k": {"type": "integer"}}}}]
WORDS = "lorem café dolor naïve amet "


class Person(BaseModel):
    """What is asked for in structured output."""

    name: str
    age: int


@pytest.fixture
def client(simulator: SimulatorProcess) -> Iterator[anthropic.Anthropic]:
    url = simulator.url.removesuffix("/v1")
    with anthropic.Anthropic(base_url=url, api_key="k" * 20, max_retries=0, _strict_response_validation=True) as client:
        yield client


@pytest.fixture
async def async_client(simulator: SimulatorProcess) -> AsyncIterator[anthropic.AsyncAnthropic]:
    url = simulator.url.removesuffix("/v1")
    async with anthropic.AsyncAnthropic(
        base_url=url, auth_token="k" * 20, max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


def test_a_message_is_read_whole(client: anthropic.Anthropic) -> None:
    model = "sim-tokens5-cached_tokens2-written_tokens1-prompt_tokens9"
    message = client.messages.create(model=model, max_tokens=50, messages=MESSAGES)
    [block] = message.content
    assert block.type == "text" and block.text == WORDS
    assert (message.stop_reason, message.stop_sequence, message._request_id) == (
        "end_turn",
        None,
        "req_of_the_provider",
    )
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (6, 2, 1)
    assert usage.output_tokens == 5


@pytest.mark.parametrize(
    "model", ["sim-tokens5", "sim-think4-tokens5-pings-comments", "sim-tools2-tokens7", "sim-think2-script1-echo"]
)
def test_a_stream_put_together_is_the_message(client: anthropic.Anthropic, model: str) -> None:
    asked: Any = {"model": model, "max_tokens": 50, "messages": MESSAGES, "tools": TOOLS}
    with client.messages.stream(**asked) as stream:
        events = [event.type for event in stream]
        streamed = stream.get_final_message()
    whole = client.messages.create(**asked)
    assert _bare(streamed) == _bare(whole)
    assert events[0] == "message_start" and events[-1] == "message_stop"


async def test_it_is_the_same_without_waiting(async_client: anthropic.AsyncAnthropic) -> None:
    message = await async_client.messages.create(model="sim-tokens5", max_tokens=50, messages=MESSAGES)
    async with async_client.messages.stream(model="sim-tokens5", max_tokens=50, messages=MESSAGES) as stream:
        text = "".join([piece async for piece in stream.text_stream])
    assert message.content[0].type == "text" and message.content[0].text == text == WORDS


def test_thinking_goes_back_with_its_signature_only(client: anthropic.Anthropic) -> None:
    asked: Any = {"model": "sim-think3-tokens2", "max_tokens": 50}
    thought = client.messages.create(**asked, messages=MESSAGES).content
    turns = [*MESSAGES, {"role": "assistant", "content": thought}, {"role": "user", "content": "Go on"}]
    assert client.messages.create(**asked, messages=turns).stop_reason == "end_turn"
    forged = {"type": "thinking", "thinking": "other thoughts", "signature": thought[0].to_dict()["signature"]}
    turns[1] = {"role": "assistant", "content": [forged, thought[1]]}
    with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
        client.messages.create(**asked, messages=turns)


def test_twenty_turns_with_a_tool(client: anthropic.Anthropic) -> None:
    turns: Any = list(MESSAGES)
    steps = []
    while True:
        with client.messages.stream(model="sim-script20-echo", max_tokens=99, messages=turns, tools=TOOLS) as stream:
            message = stream.get_final_message()
        turns.append({"role": "assistant", "content": message.content})
        calls = [block for block in message.content if block.type == "tool_use"]
        if not calls:
            break
        steps += [call.input["k"] for call in calls]
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": f"result {call.input['k']}"} for call in calls
        ]
        turns.append({"role": "user", "content": results})
    assert steps == list(range(1, 21))
    assert message.stop_reason == "end_turn" and message.content[0].to_dict()["text"] == "result 20"


def test_structured_output_is_parsed(client: anthropic.Anthropic) -> None:
    message = client.messages.parse(model="sim", max_tokens=99, messages=MESSAGES, output_format=Person)
    assert message.parsed_output == Person(name="lorem", age=7)


def test_limits_and_stop_sequences_end_an_answer(client: anthropic.Anthropic) -> None:
    assert client.messages.create(model="sim", max_tokens=3, messages=MESSAGES).stop_reason == "max_tokens"
    stopped = client.messages.create(model="sim", max_tokens=30, messages=MESSAGES, stop_sequences=["naïve"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "naïve")
    assert client.messages.create(model="sim-refuse", max_tokens=30, messages=MESSAGES).stop_reason == "refusal"


def test_tokens_are_counted(client: anthropic.Anthropic) -> None:
    counted = client.messages.count_tokens(model="sim", messages=MESSAGES, system="be brief now")
    assert counted.input_tokens == 6


def test_models_are_listed_in_pages(client: anthropic.Anthropic) -> None:
    assert [model.id for model in client.models.list()] == ["sim"]
    assert client.models.retrieve("sim-tokens3").display_name == "sim-tokens3"


@pytest.mark.parametrize(
    ("model", "error", "kind"),
    [
        ("sim-error400", anthropic.BadRequestError, "invalid_request_error"),
        ("sim-error401", anthropic.AuthenticationError, "authentication_error"),
        ("sim-error403", anthropic.PermissionDeniedError, "permission_error"),
        ("sim-tokenz", anthropic.NotFoundError, "not_found_error"),
        ("sim-error429-retry_after1s", anthropic.RateLimitError, "rate_limit_error"),
        ("sim-error500", anthropic.InternalServerError, "api_error"),
        ("sim-error529", anthropic.InternalServerError, "overloaded_error"),
        ("sim-quota", anthropic.APIStatusError, "billing_error"),
        ("sim-policy", anthropic.BadRequestError, "invalid_request_error"),
        ("sim-window2", anthropic.BadRequestError, "invalid_request_error"),
    ],
)
def test_refusals_have_this_vendors_shape(client: anthropic.Anthropic, model: str, error: Any, kind: str) -> None:
    with pytest.raises(error) as caught:
        client.messages.create(model=model, max_tokens=9, messages=MESSAGES)
    body: Any = caught.value.body
    assert set(body) == {"type", "error", "request_id"} and body["error"]["type"] == kind


def test_a_stream_can_fail_in_band(client: anthropic.Anthropic) -> None:
    got = []
    with pytest.raises(anthropic.APIStatusError, match="simulated failure"):
        for event in client.messages.create(
            model="sim-tokens9-fail_after2", max_tokens=50, messages=MESSAGES, stream=True
        ):
            got.append(event.type)
    assert got.count("content_block_delta") == 2


def test_limits_are_told_in_this_vendors_headers(client: anthropic.Anthropic) -> None:
    raw = client.messages.with_raw_response.create(model="sim-limits", max_tokens=9, messages=MESSAGES)
    assert raw.headers["anthropic-ratelimit-input-tokens-limit"] == "160000"
    assert "x-ratelimit-remaining-requests" not in raw.headers


def _bare(message: Any) -> Any:
    """Give a message without what differs from one answer to the next."""
    shape = message.to_dict()
    for one in (shape, *shape["content"]):
        one.pop("id", None)
        one.pop("parsed_output", None)
    return shape

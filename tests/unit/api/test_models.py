"""What may be asked for, with quality and price."""

from typing import Any
from urllib.parse import quote

import anthropic as anthropic_errors
import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from tests.support.serving import KEY, TENANT_CONFIG, WITH_KEY, ServeText, Serving

TEXT = TENANT_CONFIG.replace(
    "m-a: {provider: a, price: {input: 1, output: 2}, quality: 0.5}",
    "m-a: {provider: a, price: {input: 2.5, cached_input: 1.25, output: 10}, quality: 0.95, latency: 800ms, context: 128k}",
)
M_A = {
    "id": "m-a",
    "object": "model",
    "created": 0,
    "owned_by": "a",
    "price": {"input": 2.5, "cached_input": 1.25, "output": 10.0},
    "quality": 0.95,
    "latency_s": 0.8,
    "context": 128_000,
}
ALL = TEXT[: TEXT.index("tenants:")]


async def get(serving: Serving, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    async with serving.connect() as client:
        client.request("GET", path, headers=headers)
        answer = await client.read_answer()
        return answer.status, answer.json()


async def test_models_show_quality_and_price(serve_text: ServeText) -> None:
    status, found = await get(await serve_text(ALL), "/v1/models")
    assert (status, found["object"]) == (200, "list")
    entries = {entry["id"]: entry for entry in found["data"]}
    assert list(entries) == ["auto", "m-a", "m-b", "mock-*"]
    assert entries["m-a"] == M_A
    assert all({"id", "object", "created", "owned_by"} <= set(entry) for entry in entries.values())


async def test_a_key_sees_only_what_it_may_use(serve_text: ServeText) -> None:
    serving = await serve_text(TEXT)
    _, found = await get(serving, "/v1/models", WITH_KEY)
    assert [entry["id"] for entry in found["data"]] == ["auto", "mock-*"]
    assert await get(serving, "/v1/models/auto", WITH_KEY) == (200, found["data"][0])
    status, refused = await get(serving, "/v1/models/m-a", WITH_KEY)
    assert (status, refused["error"]["code"]) == (404, "model_not_found")


async def test_one_model_is_found_by_its_name(serve_text: ServeText) -> None:
    assert await get(await serve_text(ALL), "/v1/models/m-a") == (200, M_A)


async def test_a_slash_in_a_name_may_be_written_either_way(serve_text: ServeText) -> None:
    text = ALL.replace("m-a:", "org/m-a:").replace("[m-a,", "[org/m-a,")
    serving = await serve_text(text)
    for path in ("/v1/models/org/m-a", "/v1/models/org%2Fm-a"):
        assert await get(serving, path) == (200, M_A | {"id": "org/m-a"})


async def test_a_member_of_a_family_is_known_by_its_family(serve_text: ServeText) -> None:
    status, found = await get(await serve_text(ALL), "/v1/models/mock-7")
    assert status == 200
    assert (found["id"], found["quality"], found["price"]) == ("mock-7", 0.5, {"input": 1.0, "output": 2.0})


VERSION = {"anthropic-version": "2023-06-01"}


def of_anthropic(name: str, **facts: int) -> dict[str, Any]:
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
        **facts,
    }


async def test_who_asks_as_a_client_of_anthropic_gets_its_shape(serve_text: ServeText) -> None:
    serving = await serve_text(ALL)
    names = ["auto", "m-a", "m-b", "mock-*"]
    status, found = await get(serving, "/v1/models", VERSION)
    assert (status, [entry["id"] for entry in found["data"]]) == (200, names)
    assert found["data"][1] == of_anthropic("m-a", max_input_tokens=128_000)
    assert (found["has_more"], found["first_id"], found["last_id"]) == (False, "auto", "mock-*")
    assert await get(serving, "/v1/models/m-b", VERSION) == (200, of_anthropic("m-b"))


async def test_pages_are_what_was_asked_for(serve_text: ServeText) -> None:
    serving = await serve_text(ALL)
    status, found = await get(serving, "/v1/models?limit=1&after_id=auto", VERSION)
    assert (status, found) == (
        200,
        {
            "data": [of_anthropic("m-a", max_input_tokens=128_000)],
            "has_more": True,
            "first_id": "m-a",
            "last_id": "m-a",
        },
    )
    status, found = await get(serving, "/v1/models?limit=0", VERSION)
    assert (status, found["error"]["type"]) == (400, "invalid_request_error")


async def test_the_official_clients_list_and_retrieve(serve_text: ServeText) -> None:
    serving = await serve_text(TEXT)
    url = f"http://127.0.0.1:{serving.port}"
    async with AsyncAnthropic(base_url=url, api_key=KEY, max_retries=0) as anthropic:
        assert [model.id async for model in anthropic.models.list(limit=1)] == ["auto", "mock-*"]
        assert (await anthropic.models.retrieve("auto")).display_name == "auto"
        with pytest.raises(anthropic_errors.NotFoundError) as raised:
            await anthropic.models.retrieve("m-a")
        assert raised.value.request_id
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as openai:
        assert [model.id async for model in openai.models.list()] == ["auto", "mock-*"]
        assert (await openai.models.retrieve("mock-7")).owned_by == "a"


@pytest.mark.parametrize("name", ["nope", "", "x" * 1000, "a\r\nx-evil: 1", "../m-a", "\x00"])
async def test_any_other_name_is_not_found(serve_text: ServeText, name: str) -> None:
    status, found = await get(await serve_text(ALL), f"/v1/models/{quote(name, safe='')}")
    assert (status, found["error"]["code"]) == (404, "model_not_found")
    assert len(found["error"]["message"]) < 400

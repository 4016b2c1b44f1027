"""`POST /v1/messages/count_tokens`: a request like any other, that costs nothing."""

import anthropic
import pytest
from anthropic import AsyncAnthropic

from tests.support.replay import completion, full_response
from tests.support.serving import KEY, OPEN_CONFIG, TENANT_CONFIG, WITH_KEY, ServeText

COUNT = "/v1/messages/count_tokens"
MESSAGES = [{"role": "user", "content": "How many tokens would that be?"}]


async def test_the_official_client_counts_with_what_its_key_may_ask_for(serve_text: ServeText) -> None:
    serving = await serve_text(TENANT_CONFIG)
    url = f"http://127.0.0.1:{serving.port}"
    async with AsyncAnthropic(base_url=url, api_key=KEY, max_retries=0) as client:
        raw = await client.messages.with_raw_response.count_tokens(model="auto", messages=MESSAGES)  # type: ignore[arg-type]
        assert (await raw.parse()).input_tokens > 4
        assert raw.headers["x-gateway-estimated"] == "true"
        assert raw.headers["x-gateway-cost"] == "0"
        assert raw.headers["x-gateway-route"] == "all"
        assert raw.headers["request-id"] == raw.headers["x-request-id"]
        assert "x-gateway-pool" not in raw.headers  # nobody was asked
        with pytest.raises(anthropic.NotFoundError):
            await client.messages.count_tokens(model="m-a", messages=MESSAGES)  # type: ignore[arg-type]
    async with AsyncAnthropic(base_url=url, api_key="another", max_retries=0) as client:
        with pytest.raises(anthropic.AuthenticationError):
            await client.messages.count_tokens(model="auto", messages=MESSAGES)  # type: ignore[arg-type]
    x = serving.line.reporter.filed[0]
    assert (x.path, x.decision.route, x.outcome, x.status, x.cost_picodollars) == (COUNT, "all", "ok", 200, 0)
    assert x.principal.tenant == "acme"
    assert (x.usage, serving.line.transport.calls) == (None, [])


async def test_an_estimate_of_a_gateway_behind_us_is_still_one(serve_text: ServeText) -> None:
    serving = await serve_text(OPEN_CONFIG)
    serving.line.play(a=full_response(completion(), x_gateway_estimated="true"))
    async with serving.connect() as client:
        client.chat()
        answer = await client.read_answer()
    assert answer.header("x-gateway-estimated") == "true"


async def test_a_request_that_is_none_is_refused_in_its_dialect(serve_text: ServeText) -> None:
    serving = await serve_text(TENANT_CONFIG)
    async with serving.connect() as client:
        client.request("POST", COUNT, b"{}", {"content-type": "application/json", **WITH_KEY})
        answer = await client.read_answer()
    assert (answer.status, answer.json()["error"]["type"]) == (400, "invalid_request_error")

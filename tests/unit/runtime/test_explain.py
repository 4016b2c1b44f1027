"""`gateway explain` routes a request without sending it."""

import json
from typing import Any

import pytest

from gateway.pools.balancers.base import BALANCERS
from gateway.runtime.explain import explain
from tests.support.clock import FakeClock
from tests.support.replay import load_config

TEXT = """
version: 1
providers:
  a: {kind: openai, url: "http://a.test/v1"}
  off: {kind: openai, key: "${OFF_KEY:-}"}
models:
  big: {provider: off, price: {input: 1, output: 2}, quality: 0.9}
  small: {provider: a, id: small-2, price: {input: 1, output: 2}, quality: 0.5, timeout: {idle: 9s}}
  other: {provider: off, price: {input: 1, output: 2}, quality: 0.5}
pools:
  strong: {members: [big, small], then: more}
  more: {members: [other, small]}
routes:
  - {name: agents, match: [auto], when: "request.tools > 0", to: strong}
  - {name: hours, match: [auto], when: "now.hour == 5", to: small}
  - {name: all, match: [auto], when: 'tenant != "acme"', to: strong}
tenants:
  acme: {keys: ["sha256:%s"], models: [auto]}
""" % ("0" * 64)


def explained(clock: FakeClock, tenant: str = "", **fields: Any) -> dict[str, Any]:
    body = {"model": "auto", "messages": [{"role": "user", "content": "x" * 400}], **fields}
    return explain(load_config(TEXT), json.dumps(body).encode(), tenant, clock)


def test_the_way_and_its_clocks_are_explained(clock: FakeClock) -> None:
    found = explained(clock)
    assert (found["route"], found["goal"]) == ("all", "strong")
    (endpoint,) = found["endpoints"]
    assert (endpoint["pool"], endpoint["endpoint"], endpoint["model_id"]) == ("strong", "a/small", "small-2")
    assert endpoint["clocks_s"] == {"connect": 2.0, "first_token": 20.0, "answer": 300.0, "idle": 9.0, "total": 600.0}
    assert "'auto'" in found["why"]
    assert found["why"].endswith('tenant != "acme"')


def test_each_pool_says_how_its_balancer_chooses(clock: FakeClock) -> None:
    text = TEXT.replace('url: "http://a.test/v1"', 'url: "http://a.test/v1", keys: [k1, k2]')
    text = text.replace("members: [big, small],", "members: [big, small], balance: ewma, sticky: conversation,")
    found = explain(load_config(text), b'{"model": "auto", "messages": [{"role": "user", "content": "x"}]}', "", clock)
    (pool,) = found["pools"]
    assert (pool["pool"], pool["balance"]) == ("strong", "ewma")
    sticky, _, rule = pool["order"].partition("; then ")
    assert sticky == "the endpoint of the conversation, if available"
    assert "first token" in rule


def test_a_pool_of_one_has_nothing_to_choose(clock: FakeClock) -> None:
    assert explained(clock)["pools"] == [{"pool": "strong", "balance": "in_order", "order": "its only endpoint"}]


@pytest.mark.parametrize("balance", BALANCERS)
def test_every_strategy_explains_itself(clock: FakeClock, balance: str) -> None:
    text = TEXT.replace('url: "http://a.test/v1"', 'url: "http://a.test/v1", keys: [k1, k2]')
    text = text.replace("members: [big, small],", f"members: [big, small], balance: {balance},")
    found = explain(load_config(text), b'{"model": "auto", "messages": [{"role": "user", "content": "x"}]}', "", clock)
    (pool,) = found["pools"]
    assert pool["balance"] == balance
    assert len(pool["order"]) > len(balance) and "`" not in pool["order"]


def test_each_key_of_a_provider_is_an_endpoint_with_its_number(clock: FakeClock) -> None:
    text = TEXT.replace('url: "http://a.test/v1"', 'url: "http://a.test/v1", keys: [k1, k2]')
    found = explain(load_config(text), b'{"model": "auto", "messages": [{"role": "user", "content": "x"}]}', "", clock)
    assert [one["endpoint"] for one in found["endpoints"]] == ["a/small", "a/small#2"]


def test_models_whose_provider_is_off_are_named_wherever_they_stand(clock: FakeClock) -> None:
    assert explained(clock)["off"] == ["big", "other"]


def test_conditions_see_the_request_and_the_clock(clock: FakeClock) -> None:
    assert explained(clock, tools=[{"type": "function"}])["route"] == "agents"
    clock.wall_s = 5 * 3600.0
    assert explained(clock)["route"] == "hours"


def test_the_facts_are_those_that_conditions_saw(clock: FakeClock) -> None:
    facts = explained(clock, max_tokens=5, temperature=0.5, stream=True)["facts"]
    assert facts["tokens"] >= 50
    del facts["tokens"]
    expected = {"model": "auto", "max_tokens": 5, "tools": 0, "images": 0, "stream": True, "temperature": 0.5}
    assert facts == expected


def test_a_tenant_s_own_way_is_explained(clock: FakeClock) -> None:
    found = explained(clock, "acme")
    assert found["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b'{"model": "auto"}', 400, "missing_required_parameter"),
        (b'{"model": "nope", "messages": [{"role": "user"}]}', 404, "model_not_found"),
    ],
)
def test_a_request_that_would_be_refused_says_so(clock: FakeClock, body: bytes, status: int, code: str) -> None:
    error = explain(load_config(TEXT), body, clock=clock)["error"]
    assert (error["status"], error["code"]) == (status, code)
    assert error["message"]

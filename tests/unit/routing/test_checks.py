"""Checks: requests routed at load, and what is said where they go astray."""

from dataclasses import replace

import pytest

from gateway.routing.checks import failed_checks, route_of
from gateway.routing.router import Router
from tests.support.replay import load_config

TEXT = """
version: 1
providers: {web: {kind: openai, url: "http://web.test/v1", key: "${KEY:-}"}, sim: {kind: simulator}}
models:
  big: {provider: web, price: {input: 1, output: 2}, quality: 0.9}
  small: {provider: sim, price: {input: 1, output: 2}, quality: 0.5}
pools:
  strong: {members: [big, small]}
routes:
  - {name: agents, match: [auto], when: "request.tools > 0", to: strong}
  - {name: office, match: [auto], when: "now.weekday == 3 && now.hour == 9", to: big}
  - {name: team, match: [auto], when: 'headers["x-team"] == "search"', to: small}
  - {name: paid, match: [auto], when: 'labels["plan"] == "paid" && tenant == "acme"', to: strong}
  - {name: long, match: [auto], when: 'request.tokens > 100 || request.max_tokens > 10 || request.images > 0', to: big}
  - {name: cold, match: [auto], when: 'request.has_temperature && request.temperature < 0.5 && request.stream', to: big}
  - {name: other, match: [auto], to: small}
  - {name: direct, match: [big], to: requested}
tenants:
  acme: {keys: ["sha256:%s"], labels: {plan: paid}}
""" % ("0" * 64)

ENV = {"KEY": "k"}


def complaints(checks: str) -> list[str]:
    spec = load_config(f"{TEXT}checks: [{checks}]\n", ENV).spec
    return [f"{problem.path}: {problem.message}" for problem in failed_checks(spec, Router(spec))]


@pytest.mark.parametrize(
    ("given", "expect"),
    [
        ("model: auto, tools: 1", "route: agents, pool: strong, model: big"),
        ("model: auto, weekday: 3, hour: 9", "route: office"),
        ("model: auto, weekday: 3, hour: 10", "route: other"),
        ("model: auto, weekday: 4, hour: 9", "route: other"),
        ("model: auto, headers: {X-Team: search}", "route: team"),
        ("model: auto, tenant: acme", "route: paid"),
        ("model: auto, tokens: 101", "route: long"),
        ("model: auto, max_tokens: 11", "route: long"),
        ("model: auto, images: 1", "route: long"),
        ("model: auto, temperature: 0, stream: true", "route: cold"),
        ("model: auto, temperature: 0, stream: false", "route: other"),
        ("model: auto, stream: true", "route: other, model: small"),
        ("model: big", "route: direct, model: big, pool: strong"),
        ("model: small", "none: true"),
    ],
)
def test_a_check_that_holds_says_nothing(given: str, expect: str) -> None:
    assert complaints(f"{{name: c, given: {{{given}}}, expect: {{{expect}}}}}") == []


@pytest.mark.parametrize(
    ("given", "expect", "message"),
    [
        ("model: auto", "route: agents", 'checks: c: expected route "agents", went to route "other" (route "other")'),
        ("model: auto", "pool: strong", None),
        (
            "model: auto, tools: 1",
            "model: small",
            'checks: c: expected model "small", went to model "big" (route "agents")',
        ),
        ("model: auto", "none: true", 'checks: c: expected no route, went to route "other"'),
        ("model: small", "route: other", "checks: c: no route matches: "),
    ],
)
def test_a_check_that_fails_says_where_the_request_went(given: str, expect: str, message: str | None) -> None:
    said = complaints(f"{{name: c, given: {{{given}}}, expect: {{{expect}}}}}")
    if message is None:
        assert said == []  # `small` is a member of that pool, whose settings hold
    else:
        (one,) = said
        assert one.startswith(message)


def test_every_failed_expectation_is_reported() -> None:
    assert len(complaints("{name: c, given: {model: auto}, expect: {route: agents, model: big}}")) == 2


def test_providers_count_as_if_they_had_their_keys() -> None:
    spec = load_config(TEXT, ENV).spec
    spec = replace(spec, providers={name: replace(one, is_on=False) for name, one in spec.providers.items()})
    assert route_of({"model": "auto", "tools": 1}, spec, Router(spec)) == {
        "route": "agents",
        "pool": "strong",
        "model": "big",
    }

"""Whose settings hold, of the levels at which they may stand."""

import pytest

from gateway.routing.router import Match
from tests.support.clock import FakeClock
from tests.support.compiling import POOLS, TEXT, compiled, first_stage

LEVELS = """
version: 1
defaults: {timeout: {connect: 1s, first_token: 1s, answer: 1s, idle: 1s, total: 1m}}
providers:
  a: {kind: openai, url: "http://a.test/v1", timeout: {first_token: 2s, answer: 2s, idle: 2s, total: 2m}}
models:
  m: {provider: a, price: {input: 1, output: 2}, quality: 0.5, timeout: {answer: 3s, idle: 3s, total: 3m}}
  n: {provider: a, price: {input: 1, output: 2}, quality: 0.5}
pools:
  p: {members: [m], timeout: {idle: 4s, total: 4m}}
routes:
  - {name: whole, match: [auto], to: p, timeout: {total: none}}
  - {name: direct, match: [m, n], to: requested}
"""


def test_clocks_are_merged_clock_by_clock_from_the_defaults_to_the_route(clock: FakeClock) -> None:
    timeouts = compiled(LEVELS, clock).plans[Match("whole", "p")].stages[0].targets[0].timeouts
    assert (timeouts.connect_s, timeouts.first_token_s, timeouts.answer_s) == (1, 2, 3)
    assert (timeouts.idle_s, timeouts.total_s) == (4, None)


def test_a_model_asked_for_has_the_settings_of_the_pool_that_lists_it(clock: FakeClock) -> None:
    timeouts = compiled(LEVELS, clock).plans[Match("direct", "m")].stages[0].targets[0].timeouts
    assert (timeouts.answer_s, timeouts.idle_s, timeouts.total_s) == (3, 4, 240)


def test_a_model_in_no_pool_has_its_own_settings_and_those_above(clock: FakeClock) -> None:
    timeouts = compiled(LEVELS, clock).plans[Match("direct", "n")].stages[0].targets[0].timeouts
    assert (timeouts.connect_s, timeouts.answer_s, timeouts.total_s) == (1, 2, 120)


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("defaults", 9.0),
        ("providers", 9.0),
        ("models", 9.0),
        ("pools", 9.0),
        ("routes", 9.0),
        ("none at the route", None),
    ],
)
def test_comments_go_by_the_last_level_that_names_them(clock: FakeClock, level: str, expected: float | None) -> None:
    setting = "keepalive: {every: 9s, early: true}"
    text = {
        "defaults": LEVELS.replace("defaults: {", f"defaults: {{{setting}, "),
        "providers": LEVELS.replace("kind: openai,", f"kind: openai, {setting},"),
        "models": LEVELS.replace("m: {", f"m: {{{setting}, "),
        "pools": LEVELS.replace("p: {", f"p: {{{setting}, "),
        "routes": LEVELS.replace("to: p,", f"to: p, {setting},"),
        "none at the route": LEVELS.replace("p: {", f"p: {{{setting}, ").replace("to: p,", "to: p, keepalive: none,"),
    }[level]
    path = compiled(text, clock).plans[Match("whole", "p")]
    assert path.keepalive_s == expected
    assert path.early_keepalive is (expected is not None)


def test_breakers_go_by_the_last_level_that_names_them(clock: FakeClock) -> None:
    text = TEXT.replace("a-1: {", "a-1: {breaker: {failures: 9}, ").replace("b: {", "b: {breaker: none, ")
    endpoints = {
        one.id: has.breaker
        for one, has in compiled(text + "defaults: {breaker: {failures: 2}}\n", clock).endpoints.items()
    }
    assert {name: spec and spec.failures for name, spec in endpoints.items()} == {
        "a/a-1": 9,
        "a/a-2": 2,
        "b/b-1": None,
        "b/b-2": None,
        "b/mock-*": None,
    }


def test_an_endpoint_has_the_breaker_of_the_pool_that_says_something_of_it(clock: FakeClock) -> None:
    text = (POOLS % "").replace("pools:", "pools:\n  silent: {members: [m-b]}")
    text = text.replace("members: [m-a, m-b]", "members: [m-a, m-b], breaker: {failures: 9}")
    found = {one.id: has.breaker.failures for one, has in compiled(text, clock).endpoints.items() if has.breaker}
    assert found["b/m-b"] == 9


def test_retries_are_merged_from_the_defaults_to_the_route_for_each_target(clock: FakeClock) -> None:
    text = (POOLS % ", retry: {budget: 40%}").replace('b.test/v1"', 'b.test/v1", retry: {backoff: 1s, budget: 30%}')
    text = text.replace("m-b: {provider: b,", "m-b: {provider: b, retry: {when: [connect]},")
    text = text.replace("to: main}", "to: main, retry: {retry_after_cap: 7s}}") + "defaults: {retry: {attempts: 5}}\n"
    *_, of_b = first_stage(text, clock).targets
    retry = of_b.retry
    assert (retry.attempts, retry.backoff_s, retry.when) == (5, 1.0, ("connect",))
    assert (retry.budget, retry.retry_after_cap_s) == (0.4, 7.0)


def test_retry_none_is_one_attempt(clock: FakeClock) -> None:
    assert first_stage(POOLS % ", retry: none", clock).targets[0].retry.attempts == 1


@pytest.mark.parametrize(
    ("workers", "of_pool", "of_member", "of_provider"), [(1, 10, 5, 7), (2, 5, 3, 4), (4, 3, 2, 2), (32, 1, 1, 1)]
)
def test_caps_are_divided_among_the_workers_and_rounded_up(
    clock: FakeClock, workers: int, of_pool: int, of_member: int, of_provider: int
) -> None:
    text = (POOLS % ", max_inflight: 10").replace("[m-a, m-b]", "[{model: m-b, max_inflight: 5}, m-c]")
    text = text.replace('b.test/v1"', 'b.test/v1", max_inflight: 7') + f"server: {{workers: {workers}}}\n"
    snapshot = compiled(text, clock)
    assert snapshot.pools["main"].max_inflight == of_pool
    target = snapshot.plans[Match("all", "main")].stages[0].targets[0]
    assert (target.max_inflight, target.provider_max_inflight) == (of_member, of_provider)

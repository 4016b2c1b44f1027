"""From a configuration to what serves: whose settings hold, who is asked in which order, and what outlives a reload."""

from pathlib import Path as FilePath

import pytest

from gateway.core.chat import ChatRequest
from gateway.core.errors import ModelNotFound
from gateway.core.exchange import ANYBODY
from gateway.core.problem import ConfigError
from gateway.core.tasks import Tasks
from gateway.pools.directory import Directory
from gateway.pools.endpoint import Endpoint, Path
from gateway.resilience.breaker import BreakerState
from gateway.routing.router import Match
from gateway.runtime.build import activate, build_services, compile_snapshot
from gateway.runtime.checked import load_and_check
from gateway.snapshot import Services, Snapshot
from tests.support.clock import FakeClock
from tests.support.replay import loaded

HEAD = """
version: 1
providers:
  a: {kind: openai, url: "http://a.test/v1", key: "${A_KEY}"}
  b: {kind: openai, url: "http://b.test/v1"}
  off: {kind: openai, key: "${OFF_KEY:-}"}
models:
  a-1: {provider: a, price: {input: 1, output: 2}, quality: 0.5}
  a-2: {provider: a, id: other-name, price: {input: 1, output: 2}, quality: 0.5}
  b-1: {provider: b, price: {input: 3, output: 4}, quality: 0.5}
  b-2: {provider: b, price: {input: 1, output: 2}, quality: 0.5}
  gone: {provider: off, price: {input: 1, output: 2}, quality: 0.5}
  mock-*: {provider: b, price: {input: 1, output: 2}, quality: 0.5}
"""
TEXT = (
    HEAD
    + """
pools:
  strong: {members: [gone, a-1, a-2], then: weak}
  weak: {members: [a-2, b-1], then: b-2}
routes:
  - {name: all, match: [auto], to: strong}
  - {name: direct, match: [a-2, b-1, gone, "mock-*"], to: requested}
"""
)
ENV = {"A_KEY": "k1"}


def compiled(text: str, clock: FakeClock, directory: Directory | None = None) -> Snapshot:
    return compile_snapshot(loaded(text, ENV).spec, 1, {}, directory or Directory(clock))


def order(path: Path) -> list[tuple[str, list[str]]]:
    return [(hop.pool, [target.model.name for target in hop.targets]) for hop in path.hops]


def test_a_pool_is_asked_in_its_order_then_what_stands_behind_it(clock: FakeClock) -> None:
    """Without the provider that is off, and each endpoint once."""
    paths = compiled(TEXT, clock).paths
    assert order(paths[Match("all", "strong")]) == [
        ("strong", ["a-1", "a-2"]),
        ("weak", ["b-1"]),
        ("b-2", ["b-2"]),
    ]


def test_the_model_asked_for_comes_before_its_pool_mates(clock: FakeClock) -> None:
    paths = compiled(TEXT, clock).paths
    assert order(paths[Match("direct", "a-2")]) == [
        ("strong", ["a-2", "a-1"]),
        ("weak", ["b-1"]),
        ("b-2", ["b-2"]),
    ]
    assert order(paths[Match("direct", "b-1")]) == [("weak", ["b-1", "a-2"]), ("b-2", ["b-2"])]


def test_pool_mates_answer_for_a_model_whose_provider_is_off(clock: FakeClock) -> None:
    assert order(compiled(TEXT, clock).paths[Match("direct", "gone")])[0] == ("strong", ["a-1", "a-2"])


def test_a_model_in_no_pool_stands_alone(clock: FakeClock) -> None:
    text = HEAD + "routes: [{name: direct, match: [b-1], to: requested}]\n"
    assert order(compiled(text, clock).paths[Match("direct", "b-1")]) == [("b-1", ["b-1"])]


def test_a_family_is_asked_by_the_name_that_was_asked_for(clock: FakeClock) -> None:
    (hop,) = compiled(TEXT, clock).paths[Match("direct", "mock-*")].hops
    (target,) = hop.targets
    assert target.provider.model_id(target.model, "mock-7") == "mock-7"


def test_every_match_of_the_router_has_a_path(clock: FakeClock) -> None:
    snapshot = compiled(TEXT, clock)
    assert set(snapshot.router.matches()) == set(snapshot.paths)


def test_everything_that_can_be_asked_for_has_a_price(clock: FakeClock) -> None:
    snapshot = compiled(TEXT, clock)
    assert {endpoint.model for endpoint in snapshot.endpoints} <= set(snapshot.prices)
    assert (snapshot.prices["b-1"].input, snapshot.prices["b-1"].output) == (3_000_000, 4_000_000)


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
    clocks = compiled(LEVELS, clock).paths[Match("whole", "p")].hops[0].targets[0].clocks
    assert (clocks.connect_s, clocks.first_token_s, clocks.answer_s) == (1, 2, 3)
    assert (clocks.idle_s, clocks.total_s) == (4, None)


def test_a_model_asked_for_has_the_settings_of_the_pool_that_lists_it(clock: FakeClock) -> None:
    clocks = compiled(LEVELS, clock).paths[Match("direct", "m")].hops[0].targets[0].clocks
    assert (clocks.answer_s, clocks.idle_s, clocks.total_s) == (3, 4, 240)


def test_a_model_in_no_pool_has_its_own_settings_and_those_above(clock: FakeClock) -> None:
    clocks = compiled(LEVELS, clock).paths[Match("direct", "n")].hops[0].targets[0].clocks
    assert (clocks.connect_s, clocks.answer_s, clocks.total_s) == (1, 2, 120)


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
    path = compiled(text, clock).paths[Match("whole", "p")]
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


@pytest.fixture
async def services(clock: FakeClock) -> Services:
    services = build_services(Tasks(), clock)
    services.reporter.close()
    return services


def reload(services: Services, text: str, generation: int, env: dict[str, str] | None = None) -> dict[str, Endpoint]:
    spec = loaded(text, env or ENV).spec
    activate(services, compile_snapshot(spec, generation, {}, services.directory))
    return {endpoint.id: endpoint for endpoint in services.snapshot.endpoints}


def fail(endpoint: Endpoint, times: int) -> None:
    for _ in range(times):
        permit = endpoint.breaker.try_acquire()
        assert permit is not None
        permit.fail()


async def test_endpoints_live_on_with_their_breakers_when_other_things_change(services: Services) -> None:
    before = reload(services, TEXT, 1)
    fail(before["a/a-1"], 5)
    before["b/b-1"].in_flight = 3
    changed = TEXT.replace("members: [gone, a-1, a-2]", "members: [a-2, a-1]").replace("input: 3", "input: 7")
    after = reload(services, changed + "defaults: {timeout: {idle: 7s}}\n", 2)
    assert {name: after[name] is before[name] for name in before} == dict.fromkeys(before, True)
    assert services.circuits()["a/a-1"] == "open"
    assert after["b/b-1"].in_flight == 3


@pytest.mark.parametrize(
    ("text", "env"),
    [
        (TEXT.replace("http://a.test/v1", "http://elsewhere.test/v1"), ENV),
        (TEXT, {"A_KEY": "k2"}),
        (TEXT.replace("a-1: {", "a-1: {id: newer, "), ENV),
    ],
    ids=["URL", "key", "model id"],
)
async def test_another_place_to_send_to_is_another_endpoint(services: Services, text: str, env: dict[str, str]) -> None:
    before = reload(services, TEXT, 1)
    fail(before["a/a-1"], 5)
    after = reload(services, text, 2, env)
    assert after["a/a-1"] is not before["a/a-1"]
    assert after["a/a-1"].breaker.state is BreakerState.CLOSED
    assert after["b/b-1"] is before["b/b-1"]


async def test_an_endpoint_that_is_no_longer_named_is_let_go(services: Services) -> None:
    before = reload(services, TEXT, 1)
    fail(before["a/a-1"], 5)
    without = TEXT.replace("a-1: {", "a-9: {").replace("[gone, a-1, a-2]", "[gone, a-9, a-2]")
    assert "a/a-1" not in reload(services, without, 2)
    assert "a/a-1" not in services.circuits()
    assert reload(services, TEXT, 3)["a/a-1"] is not before["a/a-1"]


async def test_a_living_breaker_takes_new_settings_when_they_take_effect(services: Services) -> None:
    endpoint = reload(services, TEXT, 1)["a/a-1"]
    fail(endpoint, 2)
    spec = loaded(TEXT + "defaults: {breaker: {failures: 3}}\n", ENV).spec
    snapshot = compile_snapshot(spec, 2, {}, services.directory)
    fail(endpoint, 1)
    assert endpoint.breaker.state is BreakerState.CLOSED  # compiled is not in force
    activate(services, snapshot)
    fail(endpoint, 1)
    assert endpoint.breaker.state is BreakerState.OPEN


async def test_what_was_compiled_and_never_came_into_force_shows_nowhere(services: Services) -> None:
    reload(services, TEXT, 1)
    other = TEXT.replace("a-1: {", "a-9: {").replace("[gone, a-1, a-2]", "[gone, a-9, a-2]")
    compile_snapshot(loaded(other, ENV).spec, 2, {}, services.directory)
    assert "a/a-9" not in services.circuits()


async def test_errors_of_conditions_are_counted_over_reloads(services: Services) -> None:
    text = TEXT.replace("match: [auto], to: strong", "match: [auto], when: '9 / request.tools > 0', to: strong")
    request = ChatRequest(b"", "/v1/chat/completions", "auto")
    for generation, times in ((1, 2), (2, 3)):
        reload(services, text, generation)
        for _ in range(times):
            with pytest.raises(ModelNotFound):
                services.snapshot.router.match(request, {}, ANYBODY, 0.0)
    services.metrics.snapshot()
    assert services.metrics.condition_errors.value == 5


async def test_the_generation_shows(services: Services) -> None:
    reload(services, TEXT, 7)
    assert services.snapshot.generation == 7
    assert services.metrics.config_generation.value == 7


def test_a_check_that_fails_refuses_the_configuration(tmp_path: FilePath) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(TEXT + "checks: [{name: c, given: {model: auto}, expect: {route: direct}}]\n")
    with pytest.raises(ConfigError) as raised:
        load_and_check(path, ENV)
    (problem,) = raised.value.problems
    assert problem.path == "checks: c"
    assert problem.place.line == TEXT.count("\n") + 1
    path.write_text(TEXT + "checks: [{name: c, given: {model: auto}, expect: {route: all}}]\n")
    assert load_and_check(path, ENV).spec.checks

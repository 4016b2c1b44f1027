"""From a configuration to what serves: whose settings hold, who is asked in which order, and what outlives a reload."""

import asyncio
from pathlib import Path as FilePath

import pytest

from gateway.core.chat import ChatRequest
from gateway.core.errors import ModelNotFound
from gateway.core.exchange import ANYBODY
from gateway.core.problem import ConfigError
from gateway.core.tasks import Tasks
from gateway.pools.balancers.base import BALANCERS
from gateway.pools.directory import Directory
from gateway.pools.endpoint import Endpoint, Hop, Path
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


# Pools: who is in them, and what holds there

POOLS = """
version: 1
providers:
  a: {kind: openai, urls: ["http://a.test/v1", "http://a2.test/v1"], keys: ["k-1", "k-2"]}
  b: {kind: openai, url: "http://b.test/v1"}
  c: {kind: openai, url: "http://c.test/v1"}
models:
  m-a: {provider: a, price: {input: 1, output: 2}, quality: 0.5}
  m-b: {provider: b, price: {input: 1, output: 2}, quality: 0.5}
  m-c: {provider: c, price: {input: 1, output: 2}, quality: 0.5}
pools:
  main: {members: [m-a, m-b]%s}
routes:
  - {name: all, match: [auto], to: main}
  - {name: direct, match: [m-a, m-b, m-c], to: requested}
"""


def first_hop(text: str, clock: FakeClock, match: Match | None = None) -> Hop:
    return compiled(text, clock).paths[match or Match("all", "main")].hops[0]


def test_each_url_with_each_key_is_an_endpoint_and_they_share_the_members_weight(clock: FakeClock) -> None:
    hop = first_hop((POOLS % "").replace("[m-a, m-b]", "[{model: m-a, weight: 6}, m-b]"), clock)
    places = [(target.provider.origin.host, target.endpoint.credential) for target in hop.targets]
    assert [host for host, _ in places] == ["a.test", "a.test", "a2.test", "a2.test", "b.test"]
    assert len({id(credential) for _, credential in places}) == 3
    assert [target.weight for target in hop.targets] == [1.5, 1.5, 1.5, 1.5, 1.0]
    snapshot = compiled(POOLS % "", clock)
    assert [settings.id for settings in snapshot.endpoints.values()][:4] == [
        "a/m-a",
        "a/m-a#2",
        "a/m-a#3",
        "a/m-a#4",
    ]


def test_a_target_knows_the_other_keys_of_its_provider(clock: FakeClock) -> None:
    *of_a, of_b = first_hop(POOLS % "", clock).targets
    keys = {id(target.endpoint.credential) for target in of_a}
    for target in of_a:
        assert {id(other) for other in target.other_keys} == keys - {id(target.endpoint.credential)}
    assert of_b.other_keys == ()


def test_members_stand_by_their_priority_then_as_the_file_has_them(clock: FakeClock) -> None:
    text = (POOLS % "").replace("[m-a, m-b]", "[{model: m-c, priority: 3}, {model: m-b, priority: 2}, {model: m-a}]")
    hop = first_hop(text, clock)
    assert [(target.model.name, target.priority) for target in hop.targets][-2:] == [("m-b", 2), ("m-c", 3)]
    asked_for = first_hop(text, clock, Match("direct", "m-c"))
    assert asked_for.targets[0].model.name == "m-c"
    assert asked_for.targets[0].priority < min(target.priority for target in asked_for.targets[1:])


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
    target = snapshot.paths[Match("all", "main")].hops[0].targets[0]
    assert (target.max_inflight, target.provider_max_inflight) == (of_member, of_provider)


@pytest.mark.parametrize(
    ("members", "models", "provider", "room"),
    [
        ("m-b", "", "", None),
        ("m-b", ", max_inflight: 4", "", 4),
        ("{model: m-b, max_inflight: 3}", ", max_inflight: 4", "", 3),
        ("{model: m-b, max_inflight: 3}, m-c", "", "", None),
        ("{model: m-b, max_inflight: 3}, {model: m-c, max_inflight: 2}", "", "", 5),
        ("m-b", "", ", max_inflight: 6", 6),
        ("{model: m-b, max_inflight: 3}", "", ", max_inflight: 2", 2),
        ("{model: m-a, max_inflight: 3}", "", "", 12),
    ],
)
def test_a_pools_room_is_what_its_members_have_together(
    clock: FakeClock, members: str, models: str, provider: str, room: int | None
) -> None:
    text = (POOLS % "").replace("[m-a, m-b]", f"[{members}]")
    text = text.replace("m-b: {provider: b,", f"m-b: {{provider: b{models},")
    text = text.replace('b.test/v1"', f'b.test/v1"{provider}')
    snapshot = compiled(text, clock)
    assert snapshot.pools["main"].max_inflight == room
    assert snapshot.paths[Match("all", "main")].hops[0].is_gated is (room is not None)


def test_a_pool_that_says_less_than_its_members_have_holds(clock: FakeClock) -> None:
    text = (POOLS % ", max_inflight: 2").replace("[m-a, m-b]", "[{model: m-b, max_inflight: 3}]")
    assert compiled(text, clock).pools["main"].max_inflight == 2


def test_retries_are_merged_from_the_defaults_to_the_route_for_each_target(clock: FakeClock) -> None:
    text = (POOLS % ", retry: {budget: 40%}").replace('b.test/v1"', 'b.test/v1", retry: {backoff: 1s, budget: 30%}')
    text = text.replace("m-b: {provider: b,", "m-b: {provider: b, retry: {when: [connect]},")
    text = text.replace("to: main}", "to: main, retry: {retry_after_cap: 7s}}") + "defaults: {retry: {attempts: 5}}\n"
    *_, of_b = first_hop(text, clock).targets
    retry = of_b.retry
    assert (retry.attempts, retry.backoff_s, retry.when) == (5, 1.0, ("connect",))
    assert (retry.budget, retry.retry_after_cap_s) == (0.4, 7.0)


def test_retry_none_is_one_attempt(clock: FakeClock) -> None:
    assert first_hop(POOLS % ", retry: none", clock).targets[0].retry.attempts == 1


def test_providers_and_models_have_no_say_in_what_a_pool_is_as_a_whole(clock: FakeClock) -> None:
    hop = first_hop(POOLS % ", balance: consistent_hash, hash_by: tenant, all_open: soonest, hedge: {after: 3s}", clock)
    assert type(hop.balancer) is BALANCERS["consistent_hash"]
    assert (hop.affinity, hop.all_open, hop.is_sticky) == ("tenant", "soonest", False)
    assert hop.hedge is not None
    assert hop.hedge.after_s == 3.0


def test_a_pool_that_is_sticky_keeps_conversations(clock: FakeClock) -> None:
    hop = first_hop(POOLS % ", sticky: conversation", clock)
    assert (hop.is_sticky, hop.affinity) == (True, "conversation")


def test_nothing_is_hedged_where_there_is_one_endpoint(clock: FakeClock) -> None:
    text = (POOLS % ", hedge: {after: 3s}").replace("[m-a, m-b]", "[m-b]")
    assert first_hop(text, clock).hedge is None


@pytest.mark.parametrize(("balance", "slow_start_s"), [("in_order", 0.0), ("round_robin", 4.0)])
def test_only_pools_that_spread_their_requests_start_slowly(
    clock: FakeClock, balance: str, slow_start_s: float
) -> None:
    hop = first_hop(POOLS % f", balance: {balance}, breaker: {{slow_start: 4s}}", clock)
    assert {target.slow_start_s for target in hop.targets} == {slow_start_s}


def test_an_endpoint_has_the_breaker_of_the_pool_that_says_something_of_it(clock: FakeClock) -> None:
    text = (POOLS % "").replace("pools:", "pools:\n  silent: {members: [m-b]}")
    text = text.replace("members: [m-a, m-b]", "members: [m-a, m-b], breaker: {failures: 9}")
    found = {one.id: has.breaker.failures for one, has in compiled(text, clock).endpoints.items() if has.breaker}
    assert found["b/m-b"] == 9


async def test_a_reload_gives_a_living_gate_its_new_room_and_lets_waiters_in(services: Services) -> None:
    text = (POOLS % ", max_inflight: 1, queue: {wait: 60s}").replace("[m-a, m-b]", "[m-b]")
    reload(services, text, 1)
    gate = services.directory.pool("main").gate
    assert gate.try_enter()
    waiting = asyncio.ensure_future(gate.enter("", "", 1, "normal", 1, None))
    await asyncio.sleep(0)
    assert not waiting.done()
    reload(services, text.replace("max_inflight: 1", "max_inflight: 2"), 2)
    await waiting
    assert services.directory.pool("main").gate is gate
    reload(services, text.replace(", max_inflight: 1", ""), 3)
    assert all(gate.try_enter() for _ in range(100))


async def test_budgets_and_conversations_of_a_pool_outlive_a_reload(services: Services) -> None:
    reload(services, POOLS % "", 1)
    state = services.directory.pool("main")
    reload(services, POOLS % ", sticky: conversation", 2)
    assert services.directory.pool("main") is state
    assert services.snapshot.paths[Match("all", "main")].hops[0].state is state

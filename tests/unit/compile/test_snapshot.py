"""From a configuration to what serves, and what outlives a reload."""

import asyncio
from pathlib import Path as FilePath

import pytest

from gateway.compile.check import load_and_check
from gateway.compile.snapshot import compile_snapshot
from gateway.core.chat import ChatRequest
from gateway.core.errors import ModelNotFound
from gateway.core.exchange import ANYBODY
from gateway.core.problem import ConfigError
from gateway.core.tasks import Tasks
from gateway.pools.concurrency import QueueEntry
from gateway.pools.endpoint import Endpoint
from gateway.resilience.breaker import BreakerState
from gateway.routing.router import Match
from gateway.runtime.services import activate, build_services
from gateway.snapshot import Services
from tests.support.clock import FakeClock
from tests.support.compiling import ENV, POOLS, TEXT, compiled
from tests.support.replay import load_config


def test_every_match_of_the_router_has_a_path(clock: FakeClock) -> None:
    snapshot = compiled(TEXT, clock)
    assert set(snapshot.router.all_matches()) == set(snapshot.plans)


def test_everything_that_can_be_asked_for_has_a_price(clock: FakeClock) -> None:
    snapshot = compiled(TEXT, clock)
    assert {endpoint.model for endpoint in snapshot.endpoints} <= set(snapshot.prices)
    assert (snapshot.prices["b-1"].rates["input"], snapshot.prices["b-1"].rates["output"]) == (3_000_000, 4_000_000)


@pytest.fixture
async def services(clock: FakeClock) -> Services:
    services = build_services(Tasks(), clock)
    services.reporter.close()
    return services


def reload(services: Services, text: str, generation: int, env: dict[str, str] | None = None) -> dict[str, Endpoint]:
    spec = load_config(text, env or ENV).spec
    activate(services, compile_snapshot(spec, generation, {}, services.directory, workers=1))
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
    spec = load_config(TEXT + "defaults: {breaker: {failures: 3}}\n", ENV).spec
    snapshot = compile_snapshot(spec, 2, {}, services.directory, workers=1)
    fail(endpoint, 1)
    assert endpoint.breaker.state is BreakerState.CLOSED  # compiled is not in force
    activate(services, snapshot)
    fail(endpoint, 1)
    assert endpoint.breaker.state is BreakerState.OPEN


async def test_what_was_compiled_and_never_came_into_force_shows_nowhere(services: Services) -> None:
    reload(services, TEXT, 1)
    other = TEXT.replace("a-1: {", "a-9: {").replace("[gone, a-1, a-2]", "[gone, a-9, a-2]")
    compile_snapshot(load_config(other, ENV).spec, 2, {}, services.directory, workers=1)
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


async def test_a_reload_gives_a_living_gate_its_new_room_and_lets_waiters_in(services: Services) -> None:
    text = (POOLS % ", max_inflight: 1, queue: {wait: 60s}").replace("[m-a, m-b]", "[m-b]")
    reload(services, text, 1)
    limiter = services.directory.pool("main").limiter
    assert limiter.try_acquire()
    waiting = asyncio.ensure_future(limiter.acquire(QueueEntry("")))
    await asyncio.sleep(0)
    assert not waiting.done()
    reload(services, text.replace("max_inflight: 1", "max_inflight: 2"), 2)
    await waiting
    assert services.directory.pool("main").limiter is limiter
    reload(services, text.replace(", max_inflight: 1", ""), 3)
    assert all(limiter.try_acquire() for _ in range(100))


async def test_budgets_and_conversations_of_a_pool_outlive_a_reload(services: Services) -> None:
    reload(services, POOLS % "", 1)
    state = services.directory.pool("main")
    reload(services, POOLS % ", sticky: conversation", 2)
    assert services.directory.pool("main") is state
    assert services.snapshot.plans[Match("all", "main")].stages[0].state is state

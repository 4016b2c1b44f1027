"""From a route and a goal to pools, and from pools to targets: in which order, and with how much room."""

import pytest

from gateway.pools.balancers.base import BALANCERS
from gateway.routing.router import Match
from tests.support.clock import FakeClock
from tests.support.compiling import HEAD, POOLS, TEXT, compiled, first_stage, pool_order


def test_a_pool_is_asked_in_its_order_then_what_stands_behind_it(clock: FakeClock) -> None:
    """Without the provider that is off, and each endpoint once."""
    paths = compiled(TEXT, clock).plans
    assert pool_order(paths[Match("all", "strong")]) == [
        ("strong", ["a-1", "a-2"]),
        ("weak", ["b-1"]),
        ("b-2", ["b-2"]),
    ]


def test_the_model_asked_for_comes_before_its_pool_mates(clock: FakeClock) -> None:
    paths = compiled(TEXT, clock).plans
    assert pool_order(paths[Match("direct", "a-2")]) == [
        ("strong", ["a-2", "a-1"]),
        ("weak", ["b-1"]),
        ("b-2", ["b-2"]),
    ]
    assert pool_order(paths[Match("direct", "b-1")]) == [("weak", ["b-1", "a-2"]), ("b-2", ["b-2"])]


def test_pool_mates_answer_for_a_model_whose_provider_is_off(clock: FakeClock) -> None:
    assert pool_order(compiled(TEXT, clock).plans[Match("direct", "gone")])[0] == ("strong", ["a-1", "a-2"])


def test_a_model_in_no_pool_stands_alone(clock: FakeClock) -> None:
    text = HEAD + "routes: [{name: direct, match: [b-1], to: requested}]\n"
    assert pool_order(compiled(text, clock).plans[Match("direct", "b-1")]) == [("b-1", ["b-1"])]


def test_members_stand_by_their_priority_then_as_the_file_has_them(clock: FakeClock) -> None:
    text = (POOLS % "").replace("[m-a, m-b]", "[{model: m-c, priority: 3}, {model: m-b, priority: 2}, {model: m-a}]")
    stage = first_stage(text, clock)
    assert [(target.model.name, target.priority) for target in stage.targets][-2:] == [("m-b", 2), ("m-c", 3)]
    asked_for = first_stage(text, clock, Match("direct", "m-c"))
    assert asked_for.targets[0].model.name == "m-c"
    assert asked_for.targets[0].priority < min(target.priority for target in asked_for.targets[1:])


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
    assert snapshot.plans[Match("all", "main")].stages[0].is_limited is (room is not None)


def test_a_pool_that_says_less_than_its_members_have_holds(clock: FakeClock) -> None:
    text = (POOLS % ", max_inflight: 2").replace("[m-a, m-b]", "[{model: m-b, max_inflight: 3}]")
    assert compiled(text, clock).pools["main"].max_inflight == 2


def test_providers_and_models_have_no_say_in_what_a_pool_is_as_a_whole(clock: FakeClock) -> None:
    stage = first_stage(
        POOLS % ", balance: consistent_hash, hash_by: tenant, all_open: soonest, hedge: {after: 3s}", clock
    )
    assert type(stage.balancer) is BALANCERS["consistent_hash"]
    assert (stage.affinity, stage.all_open, stage.is_sticky) == ("tenant", "soonest", False)
    assert stage.hedge is not None
    assert stage.hedge.after_s == 3.0


def test_a_pool_that_is_sticky_keeps_conversations(clock: FakeClock) -> None:
    stage = first_stage(POOLS % ", sticky: conversation", clock)
    assert (stage.is_sticky, stage.affinity) == (True, "conversation")


def test_nothing_is_hedged_where_there_is_one_endpoint(clock: FakeClock) -> None:
    text = (POOLS % ", hedge: {after: 3s}").replace("[m-a, m-b]", "[m-b]")
    assert first_stage(text, clock).hedge is None


def test_a_route_for_paths_goes_to_its_provider_at_any_path(clock: FakeClock) -> None:
    text = (
        HEAD + "routes: [{name: files, paths: [/v1/files], provider: b}, {name: direct, match: [b-1], to: requested}]\n"
    )
    (stage,) = compiled(text, clock).passthrough_plans["files"].stages
    (target,) = stage.targets
    assert (stage.pool, target.endpoint.id) == ("b/-", "b/-")
    assert "/v1/files/7" in target.bindings

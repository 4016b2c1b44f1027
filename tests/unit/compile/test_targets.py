"""Each model at each URL of its provider, with each key: what is an endpoint, and what a target says of it."""

import pytest

from gateway.routing.router import Match
from tests.support.clock import FakeClock
from tests.support.compiling import POOLS, TEXT, compiled, first_stage


def test_each_url_with_each_key_is_an_endpoint_and_they_share_the_members_weight(clock: FakeClock) -> None:
    stage = first_stage((POOLS % "").replace("[m-a, m-b]", "[{model: m-a, weight: 6}, m-b]"), clock)
    places = [(target.provider.origin.host, target.endpoint.credential) for target in stage.targets]
    assert [host for host, _ in places] == ["a.test", "a.test", "a2.test", "a2.test", "b.test"]
    assert len({id(credential) for _, credential in places}) == 3
    assert [target.weight for target in stage.targets] == [1.5, 1.5, 1.5, 1.5, 1.0]
    snapshot = compiled(POOLS % "", clock)
    assert [settings.id for settings in snapshot.endpoints.values()][:4] == [
        "a/m-a",
        "a/m-a#2",
        "a/m-a#3",
        "a/m-a#4",
    ]


def test_a_target_knows_the_other_keys_of_its_provider(clock: FakeClock) -> None:
    *of_a, of_b = first_stage(POOLS % "", clock).targets
    keys = {id(target.endpoint.credential) for target in of_a}
    for target in of_a:
        assert {id(other) for other in target.other_keys} == keys - {id(target.endpoint.credential)}
    assert of_b.other_keys == ()


def test_a_family_is_asked_by_the_name_that_was_asked_for(clock: FakeClock) -> None:
    (stage,) = compiled(TEXT, clock).plans[Match("direct", "mock-*")].stages
    (target,) = stage.targets
    assert target.provider.model_id(target.model, "mock-7") == "mock-7"


@pytest.mark.parametrize(("balance", "slow_start_s"), [("in_order", 0.0), ("round_robin", 4.0)])
def test_only_pools_that_spread_their_requests_start_slowly(
    clock: FakeClock, balance: str, slow_start_s: float
) -> None:
    stage = first_stage(POOLS % f", balance: {balance}, breaker: {{slow_start: 4s}}", clock)
    assert {target.slow_start_s for target in stage.targets} == {slow_start_s}


def test_a_provider_is_asked_as_it_speaks_whatever_the_client_does(clock: FakeClock) -> None:
    (target, *_) = first_stage(POOLS % "", clock).targets
    heads = {path: way.request_head.split(b"\r\n")[0] for path, way in target.bindings.items()}
    assert heads["/v1/chat/completions"] == b"POST /v1/chat/completions HTTP/1.1"
    assert heads["/v1/messages"] == heads["/v1/chat/completions"]
    assert "/v1/messages/count_tokens" not in heads

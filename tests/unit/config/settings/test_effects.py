"""What is sound in a pool and does nothing: a warning, with its place."""

import random

import pytest

from gateway.config.messages import one_of
from gateway.config.settings.balance import BY_WEIGHT
from gateway.pools.balancers.base import BALANCERS, RequestFacts
from tests.support.targets import target
from tests.unit.config.conftest import Files, config

MODELS = (
    "models: {m: {provider: local, price: {input: 0, output: 0}}, n: {provider: local, price: {input: 0, output: 0}},"
    " far: {provider: web, price: {input: 1, output: 2}}, capped: {provider: sim, price: {input: 0, output: 0}, max_inflight: 2}}"
)
PROVIDERS = "providers: {local: {kind: llamacpp}, web: {kind: openai, keys: ['${SOME_KEY}', '${SECRET}']}, sim: {kind: simulator}}"


def warnings(files: Files, pool: str, **sections: str) -> list[str]:
    """Give what is said of a pool `p` with these settings, without the path of the file."""
    parts = {"models": MODELS, "providers": PROVIDERS, "pools": f"pools: {{p: {{{pool}}}}}", **sections}
    told = files.load(config(**parts)).warnings
    return [str(one).replace(f"{files.path}:", "") for one in told if "no route leads" not in one.message]


@pytest.mark.parametrize("balance", sorted(set(BALANCERS) - set(BY_WEIGHT)))
def test_a_weight_that_nothing_counts(files: Files, balance: str) -> None:
    members = "members: [n, {model: m, weight: 3}, {model: far, weight: 2}]"
    said = f"has no effect: balance is {balance}, and weights count in {one_of(BY_WEIGHT)}"
    (warning,) = warnings(files, f"{members}, balance: {balance}")
    assert warning == f"5:45: pools.p.members[1].weight: {said}"


@pytest.mark.parametrize("balance", BY_WEIGHT)
def test_a_weight_that_counts(files: Files, balance: str) -> None:
    assert warnings(files, f"members: [n, {{model: m, weight: 3}}], balance: {balance}") == []


@pytest.mark.parametrize("balance", sorted(BALANCERS))
def test_the_strategies_said_to_count_weights_do_and_no_others(balance: str) -> None:
    light, heavy = target("light", weight=1.0, in_flight=5), target("heavy", weight=9.0, in_flight=5)
    balancer = BALANCERS[balance]([light, heavy], random.Random(1))
    picks = [balancer.pick([light, heavy], RequestFacts(0.0, True, str(number))) for number in range(300)]
    assert (picks.count(heavy) > 200) == (balance in BY_WEIGHT)


def test_a_balance_may_come_from_the_defaults(files: Files) -> None:
    members = "members: [n, {model: m, weight: 3}]"
    assert warnings(files, members, defaults="defaults: {balance: weighted}") == []
    assert "balance is in_order" in warnings(files, members)[0]
    assert "balance is ewma" in warnings(files, members, defaults="defaults: {balance: ewma}")[0]


def test_a_weight_of_one_is_nothing_to_warn_of(files: Files) -> None:
    assert warnings(files, "members: [{model: m, weight: 1}, {model: n, priority: 2}]") == []


def test_hash_by_is_for_consistent_hash(files: Files) -> None:
    assert warnings(files, "members: [m, n], hash_by: tenant, balance: consistent_hash") == []
    assert warnings(files, "members: [m, n], hash_by: tenant") == [
        "5:39: pools.p.hash_by: has no effect: balance is in_order, and it is for consistent_hash"
    ]


def test_hash_by_gives_way_to_sticky(files: Files) -> None:
    assert warnings(files, "members: [m, n], hash_by: conversation, sticky: conversation") == []
    assert warnings(files, "members: [m, n], hash_by: tenant, sticky: conversation, balance: consistent_hash") == [
        "5:39: pools.p.hash_by: has no effect: sticky keeps requests together by conversation already; give one of them"
    ]


def test_a_queue_that_never_fills(files: Files) -> None:
    said = 'would never fill: neither the pool nor its member "m" has a max_inflight; give the pool one'
    assert warnings(files, "members: [capped, m], queue: {max: 5}") == [f"5:35: pools.p.queue: {said}"]


@pytest.mark.parametrize(
    ("pool", "sections"),
    [
        ("members: [m], queue: {max: 5}, max_inflight: 2", {}),
        ("members: [m], queue: {max: 5}", {"defaults": "defaults: {max_inflight: 9}"}),
        ("members: [capped], queue: {max: 5}", {}),
        ("members: [{model: m, max_inflight: 1}, capped], queue: {max: 5}", {}),
        ("members: [m], queue: {max: 5}", {"providers": PROVIDERS.replace("llamacpp", "llamacpp, max_inflight: 3")}),
        ("members: [m], queue: none", {}),
        ("members: [m]", {}),
    ],
)
def test_a_queue_that_may_fill_or_is_none(files: Files, pool: str, sections: dict[str, str]) -> None:
    assert warnings(files, pool, **sections) == []


def test_a_limit_that_a_pool_takes_away_leaves_its_queue_empty(files: Files) -> None:
    pool = "members: [m], queue: {max: 5}, max_inflight: none"
    assert "would never fill" in warnings(files, pool, defaults="defaults: {max_inflight: 9}")[0]


def test_a_hedge_with_nobody_to_ask(files: Files) -> None:
    said = "has no effect: the pool has a single endpoint, and a hedge asks a second one"
    assert warnings(files, "members: [m], hedge: {}") == [f"5:27: pools.p.hedge: {said}"]
    routes = "routes: [{name: r, match: [auto], to: p, hedge: {after: 1s}}]"
    assert warnings(files, "members: [m]", routes=routes) == [f"4:42: routes[0].hedge: {said}"]


@pytest.mark.parametrize(
    "pool", ["members: [m, n], hedge: {}", "members: [far], hedge: {}", "members: [m], hedge: none"]
)
def test_a_hedge_with_somebody_to_ask(files: Files, pool: str) -> None:
    assert warnings(files, pool) == []


def test_what_is_broken_is_not_warned_of(files: Files) -> None:
    pools = "pools: {p: {members: [{model: m, weight: 2}], balance: odd, queue: 5, hedge: 5, max_inflight: x}}"
    told = files.errors(config(pools=pools))
    assert [one.split(": ")[1] for one in told] == [
        f"pools.p.{key}" for key in ("balance", "queue", "hedge", "max_inflight")
    ]

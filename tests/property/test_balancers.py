"""What holds for every balancing strategy, over any pool."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.pools.balancers.base import BALANCERS, Balancer, RequestFacts
from gateway.pools.target import Target
from tests.support.targets import target

EVERY = sorted(BALANCERS)
DRAWS = {"p2c", "ewma"}  # by lot, in whole or among many
KEEPS = {"in_order", "consistent_hash"}  # may send all that is alike to one member
NOW = 10_000.0

common = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def targets(draw: st.DrawFn, name: str = "m") -> Target:
    made = target(
        name,
        in_flight=draw(st.integers(0, 1000)),
        price=(draw(st.integers(0, 3)), draw(st.integers(0, 10**9))),
        latency_s=draw(st.none() | st.floats(0.001, 100.0)),
        weight=draw(st.integers(1, 100).map(float) | st.floats(0.01, 100.0)),
    )
    for average in (made.endpoint.first_token_s, made.endpoint.answer_s, made.endpoint.failures):
        highest = 1.0 if average is made.endpoint.failures else 600.0
        for amount, age_s in draw(st.lists(st.tuples(st.floats(0.0, highest), st.floats(0.0, 9999.0)), max_size=3)):
            average.observe(amount, NOW - age_s)
    return made


@st.composite
def pools(draw: st.DrawFn, largest: int = 12) -> list[Target]:
    count = draw(st.integers(1, largest))
    members = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    return [draw(targets(f"{member}#{place}")) for place, member in enumerate(members)]


def facts() -> st.SearchStrategy[RequestFacts]:
    return st.builds(
        RequestFacts, now=st.floats(NOW, NOW + 9999.0), is_stream=st.booleans(), affinity=st.text(max_size=5)
    )


def make(name: str, pool: list[Target], seed: int = 1) -> Balancer:
    return BALANCERS[name](pool, random.Random(seed))


@pytest.mark.parametrize("name", EVERY)
@common
@given(data=st.data(), pool=pools())
def test_one_of_the_candidates_is_picked(name: str, data: st.DataObject, pool: list[Target]) -> None:
    balancer = make(name, pool)
    for _ in range(data.draw(st.integers(1, 8))):
        places = data.draw(st.sets(st.integers(0, len(pool) - 1), min_size=1))
        candidates = [pool[place] for place in sorted(places)]
        picked = balancer.pick(candidates, data.draw(facts()))
        assert any(picked is each for each in candidates)
        picked.endpoint.in_flight += 1


@pytest.mark.parametrize("name", EVERY)
@common
@given(pool=pools(), seed=st.integers(0, 9), asked=st.lists(facts(), max_size=20))
def test_the_same_seed_gives_the_same_picks(
    name: str, pool: list[Target], seed: int, asked: list[RequestFacts]
) -> None:
    one, other = make(name, pool, seed), make(name, pool, seed)
    assert [one.pick(pool, each) for each in asked] == [other.pick(pool, each) for each in asked]


@pytest.mark.parametrize("name", sorted(set(EVERY) - KEEPS))
@common
@given(count=st.integers(1, 12), weight=st.sampled_from([1.0, 0.1, 3.0]))
def test_of_equals_everyone_gets_something(name: str, count: int, weight: float) -> None:
    pool = [target(f"{place}", weight=weight) for place in range(count)]
    balancer = make(name, pool)
    picks = count * 20 if name in DRAWS else count
    assert {id(balancer.pick(pool, RequestFacts(NOW, is_stream=True))) for _ in range(picks)} == set(map(id, pool))


@pytest.mark.parametrize("name", ["consistent_hash", "in_order"])
def test_what_belongs_nowhere_is_dealt_out_among_a_member_s_endpoints(name: str) -> None:
    pool = [target(f"m#{place}") for place in range(7)]
    balancer = make(name, pool)
    assert len({id(balancer.pick(pool, RequestFacts(NOW, is_stream=True))) for _ in pool}) == len(pool)


@pytest.mark.parametrize("name", ["weighted", "least_inflight", "cheapest"])
@common
@given(weights=st.lists(st.integers(1, 9), min_size=1, max_size=8), cycles=st.integers(1, 3))
def test_shares_by_weight_are_exact_over_every_cycle(name: str, weights: list[int], cycles: int) -> None:
    pool = [target(f"{place}", weight=float(weight)) for place, weight in enumerate(weights)]
    balancer = make(name, pool)
    counts: Counter[Target] = Counter()
    for picks in range(1, cycles * sum(weights) + 1):
        counts[balancer.pick(pool, RequestFacts(NOW, is_stream=True))] += 1
        if picks % sum(weights) == 0:
            assert [counts[each] * sum(weights) for each in pool] == [picks * weight for weight in weights]


@common
@given(count=st.integers(2, 12), gone=st.integers(0, 11), affinities=st.sets(st.text(min_size=1), max_size=60))
def test_without_an_endpoint_only_what_it_had_moves(count: int, gone: int, affinities: set[str]) -> None:
    pool = [target(f"{place}", weight=float(1 + place % 3)) for place in range(count)]
    lost = pool[gone % count]
    rest = [each for each in pool if each is not lost]
    before, after = make("consistent_hash", pool), make("consistent_hash", rest)
    for affinity in affinities:
        asked = RequestFacts(NOW, is_stream=True, affinity=affinity)
        had = before.pick(pool, asked)
        now_has = after.pick(rest, asked)
        assert now_has is had if had is not lost else now_has in rest


@settings(max_examples=10, deadline=None, derandomize=True)
@given(count=st.integers(1, 10), prefix=st.text(max_size=4))
def test_a_new_endpoint_takes_its_share_and_nothing_else_moves(count: int, prefix: str) -> None:
    pool = [target(f"{place}") for place in range(count)]
    more = [*pool, target("new")]
    before, after = make("consistent_hash", pool), make("consistent_hash", more)
    moved = 0
    for number in range(2000):
        asked = RequestFacts(NOW, is_stream=True, affinity=f"{prefix}{number}")
        now_has = after.pick(more, asked)
        if now_has is not before.pick(pool, asked):
            assert now_has is more[-1]
            moved += 1
    share = 2000 / (count + 1)
    assert abs(moved - share) < 5 * share**0.5


class Counting(list[Target]):
    """Candidates that count how often they are gone through."""

    passes = 0

    def __iter__(self):  # type: ignore[no-untyped-def]
        self.passes += 1
        return super().__iter__()


@pytest.mark.parametrize("name", EVERY)
def test_a_pick_goes_through_the_candidates_a_few_times_at_most(name: str) -> None:
    pool = Counting(target(f"{place}") for place in range(200))
    balancer = make(name, pool)
    for affinity in ("", "c1"):
        pool.passes = 0
        balancer.pick(pool, RequestFacts(NOW, is_stream=True, affinity=affinity))
        assert pool.passes <= 3

"""Turns: exact over a cycle, interleaved, and fair with varying candidates. Candidates by cost, and two at random."""

import random
from collections import Counter
from collections.abc import Sequence

from gateway.pools.balancers.choice_rules import SmoothRoundRobin, draw_two, lowest_cost
from gateway.pools.target import Target
from tests.support.targets import names, target

A, B, C = (target(name, weight=weight) for name, weight in (("a", 5.0), ("b", 1.0), ("c", 1.0)))


def take(turns: SmoothRoundRobin, candidates: Sequence[Target], count: int) -> str:
    return names([turns.next(candidates) for _ in range(count)])


def test_everyone_has_one_turn_after_the_other() -> None:
    assert take(SmoothRoundRobin(), [A, B, C], 7) == "abcabca"


def test_turns_by_weight_are_spread() -> None:
    assert take(SmoothRoundRobin(by_weight=True), [A, B, C], 14) == "aabacaa" * 2


def test_a_single_candidate_has_every_turn_and_owes_nothing_for_it() -> None:
    turns = SmoothRoundRobin()
    assert take(turns, [B], 5) == "bbbbb"
    assert take(turns, [A, B, C], 3) == "abc"


def test_a_candidate_that_was_away_has_nothing_to_catch_up_on() -> None:
    turns = SmoothRoundRobin()
    take(turns, [A, B, C], 3)
    take(turns, [A, B], 300)
    assert Counter(take(turns, [A, B, C], 30)) == {"a": 10, "b": 10, "c": 10}


def test_a_candidate_present_half_of_the_time_has_half_a_share() -> None:
    turns, rng = SmoothRoundRobin(), random.Random(7)
    picks = Counter(names([turns.next([A, B, C] if rng.random() < 0.5 else [A, B]) for _ in range(6000)]))
    assert abs(picks["c"] - 1000) < 60
    assert abs(picks["a"] - picks["b"]) <= 2


def test_an_endpoint_has_one_turn_through_whatever_target_it_is_reached() -> None:
    again = target("a", endpoint=A.endpoint)
    turns = SmoothRoundRobin()
    assert turns.next([A, B]) is A
    assert turns.next([again, B]) is B
    assert turns.next([again, B]) is again


# From many candidates to few

POOL = [target(name, in_flight=busy) for name, busy in (("a", 2), ("b", 1), ("c", 1), ("d", 3))]


def test_all_that_cost_least_are_left_in_their_order() -> None:
    assert names(lowest_cost(POOL, lambda each: each.endpoint.in_flight)) == "bc"


def test_one_that_costs_least_is_left_alone() -> None:
    assert names(lowest_cost(POOL, lambda each: -each.endpoint.in_flight)) == "d"


def test_two_are_different_ones_and_every_pair_is_as_likely() -> None:
    rng = random.Random(3)
    pairs = Counter(names(draw_two(POOL, rng)) for _ in range(12_000))
    assert len(pairs) == 12
    assert all(len(set(pair)) == 2 for pair in pairs)
    assert all(850 < count < 1150 for count in pairs.values())


def test_of_two_both_are_taken() -> None:
    rng = random.Random(3)
    assert {names(draw_two(POOL[:2], rng)) for _ in range(50)} == {"ab", "ba"}

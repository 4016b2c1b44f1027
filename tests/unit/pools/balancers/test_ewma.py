"""`ewma`: the endpoint that is expected to be quickest."""

import random
from collections import Counter
from collections.abc import Sequence

import pytest

from gateway.pools.balancers.base import RequestFacts
from gateway.pools.balancers.ewma import MANY, PRIOR_S, Ewma
from gateway.pools.target import Target
from tests.support.clock import FakeClock
from tests.support.targets import names, target

STREAM = RequestFacts(now=1000.0, is_stream=True)
WHOLE = RequestFacts(now=1000.0, is_stream=False)


def quick(name: str, first_token_s: float, now: float = 1000.0, **more: int) -> Target:
    made = target(name, **more)
    for _ in range(10):
        made.endpoint.first_token_s.observe(first_token_s, now)
    return made


def balance(pool: Sequence[Target]) -> Ewma:
    return Ewma(pool, random.Random(1))


def test_the_one_that_is_ten_times_quicker() -> None:
    pool = [quick("a", 2.0), quick("b", 0.2)]
    balancer = balance(pool)
    assert {names([balancer.pick(pool, STREAM)]) for _ in range(50)} == {"b"}


def test_what_runs_there_makes_it_dearer() -> None:
    pool = [quick("a", 2.0), quick("b", 0.2, in_flight=8)]
    balancer = balance(pool)
    assert balancer.pick(pool, STREAM) is pool[1]
    pool[1].endpoint.in_flight = 10
    assert balancer.pick(pool, STREAM) is pool[0]


def test_streams_go_by_the_first_token_and_the_rest_by_the_answer() -> None:
    pool = [quick("a", 0.2), quick("b", 0.4)]
    pool[0].endpoint.answer_s.observe(9.0, 1000.0)
    pool[1].endpoint.answer_s.observe(3.0, 1000.0)
    balancer = balance(pool)
    assert balancer.pick(pool, STREAM) is pool[0]
    assert balancer.pick(pool, WHOLE) is pool[1]


def test_figures_of_the_other_kind_are_better_than_none() -> None:
    pool = [quick("a", 2.0), quick("b", 0.5)]
    assert balance(pool).pick(pool, WHOLE) is pool[1]
    pool = [target("a"), target("b")]
    pool[0].endpoint.answer_s.observe(2.0, 1000.0)
    pool[1].endpoint.answer_s.observe(0.5, 1000.0)
    assert balance(pool).pick(pool, STREAM) is pool[1]


def test_an_untried_one_is_what_the_file_declares() -> None:
    pool = [target("a", latency_s=0.8), target("b", latency_s=0.4)]
    balancer = balance(pool)
    assert balancer.pick(pool, STREAM) is pool[1]
    assert 0.7 < balancer.expected_s(pool[0], STREAM) < 0.8


def test_an_untried_one_of_which_nothing_is_declared_is_tried_but_not_flooded() -> None:
    pool = [quick("a", 0.5), target("b")]
    balancer = balance(pool)
    assert balancer.expected_s(pool[1], STREAM) == PRIOR_S
    tried = 0
    while balancer.pick(pool, STREAM) is pool[1]:
        pool[1].endpoint.in_flight += 1
        tried += 1
    assert 1 <= tried <= 10, "while its first answer is still out"


@pytest.mark.parametrize(("factor", "after_s"), [(2.0, 65.0), (10.0, 135.0), (100.0, 205.0)])
def test_a_slow_one_is_tried_again_the_later_the_slower(factor: float, after_s: float, clock: FakeClock) -> None:
    pool = [target("a"), target("b")]
    balancer = balance(pool)
    pool[1].endpoint.first_token_s.observe(0.3 * factor, clock.monotonic())
    began = clock.monotonic()
    while True:
        pool[0].endpoint.first_token_s.observe(0.3, clock.monotonic())
        if balancer.pick(pool, RequestFacts(clock.monotonic(), is_stream=True)) is pool[1]:
            break
        clock.advance(1.0)
    assert clock.monotonic() - began == pytest.approx(after_s, abs=15.0)
    pool[1].endpoint.in_flight = 1
    assert balancer.pick(pool, RequestFacts(clock.monotonic(), is_stream=True)) is pool[0], "by one request only"


def test_one_that_is_declared_slow_is_tried_at_last(clock: FakeClock) -> None:
    pool = [target("a"), target("b", latency_s=5.0)]
    balancer = balance(pool)
    for _ in range(300):
        pool[0].endpoint.first_token_s.observe(0.3, clock.monotonic())
        if balancer.pick(pool, RequestFacts(clock.monotonic(), is_stream=True)) is pool[1]:
            break
        clock.advance(1.0)
    else:
        pytest.fail("never")


def test_failing_costs_as_much_as_it_takes_to_succeed() -> None:
    pool = [quick("a", 0.5), quick("b", 0.4)]
    for failed in (1.0, 0.0) * 20:
        pool[1].endpoint.failures.observe(failed, 1000.0)
    assert balance(pool).pick(pool, STREAM) is pool[0]
    for _ in range(1000):
        pool[0].endpoint.failures.observe(1.0, 1000.0)
    assert balance(pool).pick(pool, STREAM) is pool[1]


def test_equals_take_turns() -> None:
    pool = [target("a"), target("b"), target("c")]
    balancer = balance(pool)
    assert names([balancer.pick(pool, STREAM) for _ in range(6)]) == "abcabc"


def test_of_many_two_are_drawn_by_lot() -> None:
    pool = [quick(name, 0.1 * (place + 1)) for place, name in enumerate("abcdefgh")]
    assert len(pool) > MANY
    balancer = balance(pool)
    picks = Counter(names([balancer.pick(pool, STREAM)]) for _ in range(2000))
    assert picks["a"] > picks["d"] > picks["g"] > 0
    assert "h" not in picks, "the slowest loses against everyone"
    assert picks["a"] < 700


def test_of_few_the_best_is_taken() -> None:
    pool = [quick(name, 0.1 * (place + 1)) for place, name in enumerate("dcba")]
    assert len(pool) == MANY
    balancer = balance(pool)
    assert {names([balancer.pick(pool, STREAM)]) for _ in range(30)} == {"d"}
    assert Ewma.supports_slow_start


def test_old_figures_of_everyone_mean_that_everyone_is_tried() -> None:
    pool = [quick("a", 0.2), quick("b", 9.0)]
    later = RequestFacts(now=1000.0 + 86_400.0, is_stream=True)
    assert balance(pool).expected_s(pool[0], later) == pytest.approx(PRIOR_S)
    assert balance(pool).expected_s(pool[1], later) == pytest.approx(PRIOR_S)

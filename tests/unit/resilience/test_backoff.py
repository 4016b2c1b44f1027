"""Pauses between attempts: their range, and that they differ."""

import random

import pytest

from gateway.config.spec import RetrySpec
from gateway.resilience.backoff import pause_s

SPEC = RetrySpec(backoff_s=0.5, backoff_cap_s=3.0)


@pytest.mark.parametrize(("again", "longest"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, 3.0), (5, 3.0), (10_000, 3.0)])
def test_pauses_are_drawn_evenly_from_nothing_to_a_bound_that_doubles(again: int, longest: float) -> None:
    rng = random.Random(1)
    drawn = sorted(pause_s(again, SPEC, rng) for _ in range(4000))
    assert 0.0 <= drawn[0] < 0.01 * longest
    assert 0.99 * longest < drawn[-1] <= longest
    for share in (0.25, 0.5, 0.75):
        assert drawn[int(share * len(drawn))] == pytest.approx(share * longest, abs=0.04 * longest)


def test_those_who_failed_together_come_back_apart() -> None:
    rng = random.Random(1)
    assert len({pause_s(1, SPEC, rng) for _ in range(100)}) == 100

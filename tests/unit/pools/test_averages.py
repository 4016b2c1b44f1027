"""Means that forget, and the quantile of the last few."""

from math import exp

import pytest

from gateway.pools.averages import DECAY_S, REFRESH_EVERY, WINDOW, Average, RecentValues


def test_nothing_observed_is_nothing() -> None:
    average = Average()
    assert (average.value, average.weight, average.evidence(1e9)) == (0.0, 0.0, 0.0)


def test_observations_of_one_moment_are_a_plain_mean() -> None:
    average = Average()
    for amount in (1.0, 2.0, 6.0):
        average.observe(amount, 1000.0)
    assert average.value == pytest.approx(3.0)
    assert average.weight == pytest.approx(3.0)


def test_an_older_observation_weighs_less() -> None:
    average = Average()
    average.observe(10.0, 1000.0)
    average.observe(1.0, 1000.0 + DECAY_S)
    left = exp(-1.0)
    assert average.value == pytest.approx((10.0 * left + 1.0) / (left + 1.0))
    assert average.weight == pytest.approx(left + 1.0)


def test_the_first_observation_counts_whole_however_late() -> None:
    average = Average()
    average.observe(4.0, 1e9)
    assert (average.value, average.weight) == (4.0, 1.0)


def test_evidence_fades_and_the_value_stays() -> None:
    average = Average()
    average.observe(4.0, 1000.0)
    assert average.evidence(1000.0) == 1.0
    assert average.evidence(1000.0 + 3 * DECAY_S) == pytest.approx(exp(-3.0))
    assert average.evidence(1000.0 + 1e7) == 0.0
    assert average.value == 4.0


def test_after_ages_of_silence_the_next_observation_is_all() -> None:
    average = Average()
    average.observe(4.0, 1000.0)
    average.observe(9.0, 1000.0 + 1e7)
    assert average.value == pytest.approx(9.0)


def test_a_steady_rate_gives_steady_evidence() -> None:
    average = Average()
    for tick in range(3000):
        average.observe(1.0, 1000.0 + 0.1 * tick)
    assert average.value == pytest.approx(1.0)
    assert average.weight == pytest.approx(DECAY_S / 0.1, rel=0.01)


def test_a_few_observations_are_no_quantile() -> None:
    recent = RecentValues()
    for _ in range(REFRESH_EVERY - 1):
        recent.observe(1.0)
    assert recent.quantile(0.95) is None
    recent.observe(1.0)
    assert recent.quantile(0.95) == 1.0


def test_a_quantile_is_what_that_share_lies_below() -> None:
    recent = RecentValues()
    for amount in range(100):
        recent.observe(float(amount))
    assert recent.quantile(0.95) == 95.0
    assert recent.quantile(0.5) == 50.0
    assert recent.quantile(0.0) == 0.0
    assert recent.quantile(1.0) == 99.0, "the greatest, for want of one above"


def test_only_the_last_ones_count() -> None:
    recent = RecentValues()
    for amount in (9.0,) * 50 + (1.0,) * WINDOW:
        recent.observe(amount)
    assert recent.quantile(1.0) == 1.0


def test_it_is_sorted_anew_once_in_a_while() -> None:
    recent = RecentValues()
    for _ in range(REFRESH_EVERY):
        recent.observe(1.0)
    assert recent.quantile(1.0) == 1.0
    for _ in range(REFRESH_EVERY - 1):
        recent.observe(5.0)
    assert recent.quantile(1.0) == 1.0
    recent.observe(5.0)
    assert recent.quantile(1.0) == 5.0

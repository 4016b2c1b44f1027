"""The five clocks and the order of their levels."""

from gateway.resilience.timeouts import Timeouts, merge_timeouts


def test_without_levels_the_documented_defaults_hold() -> None:
    assert merge_timeouts() == Timeouts(connect_s=2.0, first_token_s=20.0, answer_s=300.0, idle_s=30.0, total_s=600.0)


def test_the_later_level_wins_clock_by_clock() -> None:
    merged = merge_timeouts({"connect": 1.0, "idle": 5.0}, {"idle": 7.0, "total": 60.0})
    assert merged == Timeouts(connect_s=1.0, first_token_s=20.0, answer_s=300.0, idle_s=7.0, total_s=60.0)


def test_none_switches_a_clock_off() -> None:
    assert merge_timeouts({"total": 60.0}, {"total": None}).total_s is None


def test_a_later_level_switches_a_clock_on_again() -> None:
    assert merge_timeouts({"answer": None}, {"answer": 9.0}).answer_s == 9.0

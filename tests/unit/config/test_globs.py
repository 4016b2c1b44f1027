"""Names with stars."""

import re
from fnmatch import translate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.globs import fits, meet

PATTERNS = st.text("ab*", max_size=7)
NAMES = st.text("ab", max_size=8)


@pytest.mark.parametrize(
    ("wide", "narrow", "holds"),
    [
        ("gpt-*", "gpt-4o", True),
        ("gpt-*", "gpt-4*", True),
        ("gpt-4*", "gpt-*", False),
        ("*", "*", True),
        ("a*b", "a*c*b", True),
        ("a*b", "a*", False),
        ("auto", "auto", True),
        ("auto", "*", False),
    ],
)
def test_a_pattern_takes_all_of_a_narrower_one(wide: str, narrow: str, holds: bool) -> None:
    assert fits(wide, narrow) is holds


@given(PATTERNS, NAMES)
def test_fits_is_what_a_regular_expression_says(pattern: str, name: str) -> None:
    assert fits(pattern, name) == (re.match(translate(pattern), name) is not None)


@given(PATTERNS, PATTERNS, NAMES)
def test_covering_and_meeting_agree_with_names(one: str, other: str, name: str) -> None:
    if fits(one, other) and fits(other, name):
        assert fits(one, name)
    if fits(one, name) and fits(other, name):
        assert meet(one, other)


@pytest.mark.parametrize(("one", "other"), [("a*", "b*"), ("a", "b"), ("a*c", "a*b"), ("", "a"), ("aa", "a")])
def test_what_shares_no_name_does_not_meet(one: str, other: str) -> None:
    assert not meet(one, other)
    assert not meet(other, one)


def test_many_stars_take_no_time() -> None:
    assert not fits("*a" * 60 + "b", "a" * 128)
    assert meet("*a" * 60, "a*" * 60)

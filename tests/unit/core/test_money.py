"""Amounts are written in USD without loss."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.money import dollars

AMOUNTS = st.integers(min_value=0, max_value=10**24)


@pytest.mark.parametrize(
    ("picodollars", "text"),
    [
        (0, "0"),
        (1, "0.000000000001"),
        (123_000_000, "0.000123"),
        (75_000, "0.000000075"),
        (10**12, "1"),
        (12_500_000_000_000, "12.5"),
        (10 * 10**12, "10"),
        (123_456_789_000_000_000_000, "123456789"),
        (-1_500_000_000_000, "-1.5"),
    ],
)
def test_dollars_are_written_plainly(picodollars: int, text: str) -> None:
    assert dollars(picodollars) == text


@given(AMOUNTS)
def test_dollars_lose_nothing_and_are_never_scientific(picodollars: int) -> None:
    text = dollars(picodollars)
    assert int(Decimal(text).scaleb(12)) == picodollars
    assert "e" not in text.lower()
    assert not text.endswith(".")

"""The estimate that stands in until a provider has counted."""

import pytest

from gateway.accounting.tokens import estimate_tokens


@pytest.mark.parametrize(("byte_count", "tokens"), [(0, 1), (1, 1), (4, 1), (5, 2), (8, 2), (4000, 1000), (4001, 1001)])
def test_estimate_is_a_quarter_of_the_bytes_rounded_up_and_at_least_one(byte_count: int, tokens: int) -> None:
    assert estimate_tokens(byte_count) == tokens

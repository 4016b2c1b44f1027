"""Amounts of money: integer picodollars (10^-12 USD), so that sums are exact."""

from typing import Final

PICODOLLARS: Final = 10**12  # in one USD
PICODOLLARS_PER_TOKEN: Final = PICODOLLARS // 10**6  # at a price of one USD per million tokens


def dollars(picodollars: int) -> str:
    """Return an amount in USD, exact, as a plain decimal without trailing zeros: `0.000123`, `12.5`, `0`."""
    whole, rest = divmod(abs(picodollars), PICODOLLARS)
    text = f"{whole}.{rest:012d}".rstrip("0").rstrip(".")
    return f"-{text}" if picodollars < 0 else text

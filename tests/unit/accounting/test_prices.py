"""Costs are exact integers, whatever the classes."""

from gateway.accounting.prices import Price
from gateway.config.spec import PriceSpec
from gateway.core.usage import Usage

SONNET = Price(PriceSpec(input=3_000_000, cached_input=300_000, cache_write=3_750_000, output=15_000_000))


def test_each_class_of_tokens_has_its_own_price() -> None:
    assert SONNET.cost(Usage(input=1)) == 3_000_000
    assert SONNET.cost(Usage(cached_input=1)) == 300_000
    assert SONNET.cost(Usage(cache_write=1)) == 3_750_000
    assert SONNET.cost(Usage(output=1)) == 15_000_000


def test_classes_add_up() -> None:
    usage = Usage(input=10, cached_input=100, cache_write=1000, output=7)
    assert SONNET.cost(usage) == 30_000_000 + 30_000_000 + 3_750_000_000 + 105_000_000


def test_class_without_a_price_costs_what_input_does() -> None:
    price = Price(PriceSpec(input=150_000, output=600_000))
    assert price.cost(Usage(cached_input=3, cache_write=4)) == 7 * 150_000


def test_class_priced_at_nothing_costs_nothing() -> None:
    price = Price(PriceSpec(input=5, output=7, cached_input=0, cache_write=0))
    assert price.cost(Usage(cached_input=1000, cache_write=1000)) == 0


def test_no_tokens_cost_nothing() -> None:
    assert SONNET.cost(Usage()) == 0


def test_a_million_small_calls_cost_a_million_times_one() -> None:
    one = SONNET.cost(Usage(input=1, cached_input=1, output=1))
    assert SONNET.cost(Usage(input=10**6, cached_input=10**6, output=10**6)) == one * 10**6

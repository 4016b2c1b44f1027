"""Costs are exact integers, whatever the classes."""

from gateway.accounting.prices import Price
from gateway.config.spec import PriceSpec
from gateway.core.usage import TOKEN_CLASSES, Usage

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


def test_every_class_has_its_price_or_that_of_the_class_it_falls_back_to() -> None:
    one_of_each = Usage(1, 1, 1, 1, False, 1, 1, 1, 1)
    assert Price(PriceSpec(input=10, output=100)).cost(one_of_each) == 5 * 10 + 3 * 100
    assert Price(PriceSpec(input=10, output=100, cache_write=7)).cost(one_of_each) == 3 * 10 + 2 * 7 + 3 * 100
    priced = PriceSpec(1, 2, 4, 8, 16, 32, 64, 128, request=1000)
    assert Price(priced).cost(one_of_each) == 1 + 2 + 4 + 8 + 16 + 32 + 64 + 128 + 1000


def test_fallbacks_stand_before_the_classes_that_need_them() -> None:
    seen: set[str] = set()
    for one in TOKEN_CLASSES:
        assert one.falls_back_to is None or one.falls_back_to in seen
        seen.add(one.name)
    assert seen == set(Usage.__struct_fields__) - {"is_estimated"}

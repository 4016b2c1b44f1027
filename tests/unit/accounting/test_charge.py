"""What a request costs, however it ended."""

from gateway.accounting.charge import charge
from gateway.accounting.prices import Price
from gateway.config.spec import PriceSpec
from gateway.core.chat import ChatRequest, Usage
from gateway.core.exchange import Exchange, Meter, RequestId

PRICES = {"big": Price(PriceSpec(input=3, output=5, cached_input=1, cache_write=4))}


def exchange(meter: Meter, model: str = "big") -> Exchange:
    request = ChatRequest(b"", "/v1/chat/completions", "auto", tokens=40)
    x = Exchange(RequestId("r"), 0.0, 1, "/v1/chat/completions", {}, request=request, model=model)
    x.meter = meter
    return x


def test_the_count_of_the_provider_holds() -> None:
    usage = Usage(input=10, cached_input=20, cache_write=30, output=7)
    x = exchange(Meter(events=99, usage=usage))
    assert charge(x, PRICES) == (usage, 10 * 3 + 20 * 1 + 30 * 4 + 7 * 5)


def test_a_stream_without_a_count_is_charged_an_event_a_token_and_the_prompt_as_estimated() -> None:
    usage, cost = charge(exchange(Meter(events=6)), PRICES)
    assert usage == Usage(input=40, output=6, is_estimated=True)
    assert cost == 40 * 3 + 6 * 5


def test_an_answer_that_never_began_costs_nothing() -> None:
    assert charge(exchange(Meter()), PRICES) == (None, 0)


def test_a_request_that_was_never_read_costs_nothing() -> None:
    x = exchange(Meter(events=1))
    x.request = None
    assert charge(x, PRICES) == (None, 0)


def test_a_request_that_nobody_was_asked_for_costs_nothing() -> None:
    assert charge(exchange(Meter(usage=Usage(input=1)), model=""), PRICES) == (Usage(input=1), 0)


def test_charging_twice_gives_the_same() -> None:
    x = exchange(Meter(events=6))
    x.meter.usage, x.cost_picodollars = charge(x, PRICES)
    assert charge(x, PRICES) == (x.meter.usage, x.cost_picodollars)

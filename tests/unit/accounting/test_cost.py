"""What a request costs, however it ended."""

from collections.abc import Mapping

from gateway.accounting.cost import settle
from gateway.accounting.prices import Price
from gateway.config.spec import PriceSpec
from gateway.core.chat import ChatRequest
from gateway.core.exchange import AttemptRecord, Exchange, Meter, RequestId, Timeline
from gateway.core.usage import Usage

PRICES = {"big": Price(PriceSpec(input=3, output=5, cached_input=1, cache_write=4))}


def an_exchange(meter: Meter, model: str = "big") -> Exchange:
    request = ChatRequest(b"", "/v1/chat/completions", "auto", tokens=40)
    timeline = Timeline(lambda: 0.0)
    exchange = Exchange(RequestId("r"), 1, "POST", "/v1/chat/completions", {}, timeline, request=request)
    exchange.attempt = AttemptRecord("a/big", 0.0, model=model)
    exchange.attempts.append(exchange.attempt)
    exchange.meter = meter
    return exchange


def charge(exchange: Exchange, prices: Mapping[str, Price]) -> tuple[Usage | None, int]:
    """Settle a request; give what is booked."""
    settle(exchange, prices)
    return exchange.usage, exchange.cost_picodollars


def test_the_count_of_the_provider_holds() -> None:
    usage = Usage(input=10, cached_input=20, cache_write=30, output=7)
    exchange = an_exchange(Meter(events=99, usage=usage))
    assert charge(exchange, PRICES) == (usage, 10 * 3 + 20 * 1 + 30 * 4 + 7 * 5)


def test_a_stream_without_a_count_is_charged_an_event_a_token_and_the_prompt_as_estimated() -> None:
    usage, cost = charge(an_exchange(Meter(events=6)), PRICES)
    assert usage == Usage(input=40, output=6, is_estimated=True)
    assert cost == 40 * 3 + 6 * 5


CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n'


def test_what_the_events_said_is_estimated_not_how_many_they_were() -> None:
    meter = Meter()
    for _ in range(100):
        block = CHUNK % (b"a handful of words in one event " * 2)
        meter.events += 1
        if meter.events >= meter.sample_at:
            meter.sample(block)
    usage, _ = charge(an_exchange(meter), PRICES)
    assert usage is not None and usage.is_estimated
    assert 1200 < usage.output < 1600, "fourteen tokens an event"
    assert len(meter.samples) < 15


def test_events_that_say_nothing_we_know_are_a_token_each() -> None:
    meter = Meter(events=50)
    meter.sample(b'data: {"x": 1}\n\n')
    usage, _ = charge(an_exchange(meter), PRICES)
    assert usage is not None and usage.output == 50


def test_an_unstreamed_answer_without_a_count_is_estimated_too() -> None:
    body = b'{"choices":[{"message":{"role":"assistant","content":"%b"}}]}' % (
        b"Ten words are here, as far as I can count. " * 4
    )
    usage, cost = charge(an_exchange(Meter(samples=(body,))), PRICES)
    assert usage is not None and usage.is_estimated
    assert (usage.input, 36 < usage.output < 54) == (40, True)
    assert cost == 40 * 3 + usage.output * 5


def test_vectors_are_no_words_and_what_is_too_long_is_not_looked_into() -> None:
    for body in (b'{"data":[{"embedding":[0.1,0.2]}]}', b'{"content":"' + b"x" * 2**20 + b'"}'):
        assert charge(an_exchange(Meter(samples=(body,))), PRICES)[0] == Usage(input=40, output=0, is_estimated=True)


def test_an_answer_that_never_began_costs_nothing() -> None:
    assert charge(an_exchange(Meter()), PRICES) == (None, 0)


def test_a_request_that_was_never_read_costs_nothing() -> None:
    exchange = an_exchange(Meter(events=1))
    exchange.request = None
    assert charge(exchange, PRICES) == (None, 0)


def test_a_request_that_nobody_was_asked_for_costs_nothing() -> None:
    assert charge(an_exchange(Meter(usage=Usage(input=1)), model=""), PRICES) == (Usage(input=1), 0)


def test_charging_twice_gives_the_same() -> None:
    exchange = an_exchange(Meter(events=6))
    first = charge(exchange, PRICES)
    assert charge(exchange, PRICES) == first

"""What a request has used and what it costs, finished or cut."""

from collections.abc import Mapping
from typing import Final

from gateway.accounting.prices import Price
from gateway.core.exchange import Exchange, Meter
from gateway.core.tokens import tokens_of
from gateway.core.usage import Usage
from gateway.dialects.output_text import said_in_document, said_in_events

LONGEST_DOCUMENT: Final = 2**20  # bytes of an answer without a count that are looked into


def charge(exchange: Exchange, prices: Mapping[str, Price]) -> tuple[Usage | None, int]:
    """Give the usage of an exchange and its cost in picodollars.

    The provider's own count holds where it came. A stream that was cut, or an answer whose provider does not count, is charged for
    what was seen of it and for the prompt, both as estimated. An answer that never began costs nothing.
    """
    usage, meter = exchange.meter.usage, exchange.meter
    if usage is None and exchange.request is not None and (meter.events or meter.samples):
        usage = Usage(input=exchange.request.tokens, output=_output_tokens(meter), is_estimated=True)
    price = prices.get(exchange.model)
    cost = price.cost(usage) if usage is not None and price is not None else 0
    return usage, cost + exchange.lost_picodollars


def _output_tokens(meter: Meter) -> int:
    """Estimate what an answer said: all of an unstreamed one; of a stream some events, by which the others are judged.

    An event of whose kind nothing was seen counts as a token.
    """
    if not meter.events:
        body = meter.samples[0]
        return tokens_of(said_in_document(body).encode()) if len(body) <= LONGEST_DOCUMENT else 0
    texts, count = [], 0
    for block in meter.samples:
        said, events = said_in_events(block)
        texts.append(said)
        count += events
    tokens = tokens_of("".join(texts).encode())
    return -(-tokens * meter.events // count) if tokens else meter.events

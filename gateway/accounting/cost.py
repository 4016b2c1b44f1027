"""What a request has used and what it costs, finished or cut: written into the record of its attempt."""

from collections.abc import Mapping
from typing import Final

from gateway.accounting.prices import Price
from gateway.core.exchange import AttemptRecord, Exchange, Meter
from gateway.core.tokens import tokens_of
from gateway.core.usage import Usage
from gateway.dialects.output_text import text_of_document, text_of_events

LONGEST_DOCUMENT: Final = 2**20  # bytes of a response without usage that are read for an estimate


def settle(exchange: Exchange, prices: Mapping[str, Price]) -> None:
    """Write usage and cost into the record of the attempt whose response the client got; settling twice changes nothing.

    The provider's own count holds where it came. A stream that was cut, and a response whose provider does not count, are
    charged for what passed of them and for the prompt, both as estimated. A response that never began costs nothing.
    """
    record, meter = exchange.attempt, exchange.meter
    if record is None or record.is_settled:
        return
    record.is_settled = True
    usage = record.usage or meter.usage
    if usage is None and exchange.request is not None and (meter.events or meter.samples):
        usage = Usage(input=exchange.request.tokens, output=_output_tokens(meter), is_estimated=True)
    record.usage = usage
    price = prices.get(record.model)
    record.cost_picodollars = price.cost(usage) if usage is not None and price is not None else 0


def settle_lost_hedge(exchange: Exchange, record: AttemptRecord, price: Price) -> None:
    """Charge a hedge that lost the race for the prompt, which its provider has read."""
    request = exchange.request
    if request is not None:
        record.usage = Usage(input=request.tokens, is_estimated=True)
        record.cost_picodollars = price.cost(record.usage)


def _output_tokens(meter: Meter) -> int:
    """Estimate the tokens of a response: from all of an unstreamed one, from sampled events of a stream.

    An event is one token where no sample shows its kind.
    """
    if not meter.events:
        body = meter.samples[0]
        return tokens_of(text_of_document(body).encode()) if len(body) <= LONGEST_DOCUMENT else 0
    texts, count = [], 0
    for block in meter.samples:
        text, events = text_of_events(block)
        texts.append(text)
        count += events
    tokens = tokens_of("".join(texts).encode())
    return -(-tokens * meter.events // count) if tokens else meter.events

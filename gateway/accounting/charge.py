"""What a request has used and what it costs, finished or cut."""

from collections.abc import Mapping

from gateway.accounting.prices import Price
from gateway.core.chat import Usage
from gateway.core.exchange import Exchange


def charge(x: Exchange, prices: Mapping[str, Price]) -> tuple[Usage | None, int]:
    """Give the usage of an exchange and its cost in picodollars.

    The provider's own count holds where it came. A stream that was cut, or whose provider does not count, is charged for
    what was seen: an event a token, the prompt as estimated. An answer that never began costs nothing.
    """
    usage = x.meter.usage
    if usage is None and x.meter.events and x.request is not None:
        usage = Usage(input=x.request.tokens, output=x.meter.events, is_estimated=True)
    price = prices.get(x.model)
    cost = price.cost(usage) if usage is not None and price is not None else 0
    return usage, cost + x.lost_picodollars

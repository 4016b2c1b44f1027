"""`CapacityError`: the gateway cannot serve the request now. Waiting helps."""

from gateway.core.errors.base import GatewayError


class CapacityError(GatewayError):
    """The gateway can't serve this now; waiting helps."""

    status = 503
    type = "overloaded_error"


class Overloaded(CapacityError):
    """More requests run than the gateway was told to take."""

    code = "overloaded"


class QueueFull(Overloaded):
    """As many requests wait for the pool as may, or the wait would be longer than allowed."""

    code = "queue_full"


class QueueTimeout(Overloaded):
    """The request waited for the pool as long as it may, in vain."""

    code = "queue_timeout"


class EventLoopLate(Overloaded):
    """The worker's event loop is later than it may be: the machine has no time for another request."""

    code = "event_loop_late"


class NoCapacity(CapacityError):
    """No endpoint is left that could be asked: breakers open, providers off."""

    code = "no_endpoint_available"


class ShuttingDown(CapacityError):
    """The gateway is stopping; another replica answers."""

    code = "shutting_down"


class DeadlineExceeded(CapacityError):
    """The total clock of the request ran out between attempts."""

    status = 504
    code = "total_timeout"

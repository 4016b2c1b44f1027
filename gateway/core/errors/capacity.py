"""`CapacityError`: the gateway cannot serve the request now. Waiting helps."""

from typing import Final

from gateway.core.errors.base import ErrorCode, GatewayError


class CapacityError(GatewayError):
    """The gateway cannot serve the request now; waiting helps."""

    status = 503
    type = "overloaded_error"


class Overloaded(CapacityError):
    """More requests run than a configured limit allows."""

    code = "overloaded"


class QueueFull(Overloaded):
    """The queue of the pool is full, or the wait would be longer than allowed."""

    code = "queue_full"


class QueueTimeout(Overloaded):
    """The request waited in the queue of the pool until its timeout."""

    code = "queue_timeout"


class EventLoopLate(Overloaded):
    """The lag of the worker's event loop exceeds the limit: the machine has no CPU time for another request."""

    code = "event_loop_late"


class NoCapacity(CapacityError):
    """No endpoint is available: breakers are open, endpoints drained, or providers off."""

    code = "no_endpoint_available"


class ShuttingDown(CapacityError):
    """The gateway is stopping; another replica can serve the request."""

    code = "shutting_down"


class DeadlineExceeded(CapacityError):
    """The total timeout of the request ran out between attempts."""

    status = 504
    code = "total_timeout"


CAPACITY_CODES: Final = (
    ErrorCode(
        "no_endpoint_available", "503", "no endpoint is available: breakers open, endpoints drained, providers off"
    ),
    ErrorCode(
        "overloaded",
        "503",
        "more running requests than `server.limits.in_flight`, more bytes of bodies than `server.limits.bodies`, or a full "
        "pool without a queue",
    ),
    ErrorCode("queue_full", "503", "the pool's queue is full, or the wait would be longer than `queue.wait`"),
    ErrorCode("queue_timeout", "503", "the request waited for its pool for `queue.wait` without getting a slot"),
    ErrorCode(
        "event_loop_late", "503", "the event loop is later than `server.limits.loop_lag`: the machine is short of CPU"
    ),
    ErrorCode("shutting_down", "503", "this process is stopping; another process serves new requests"),
    ErrorCode("total_timeout", "504", "`timeout.total` ran out"),
)
"""Every code of this family; `docs/errors.md` shows the table."""

"""Everything that can go wrong with a request, and what it means for the client, the retry and the breaker.

Import every error from here. Three families, one file each:

| family          | file          | what is wrong                                    |
|-----------------|---------------|--------------------------------------------------|
| `CallerError`   | `caller.py`   | the request itself                               |
| `UpstreamError` | `upstream.py` | a provider or its answer                         |
| `CapacityError` | `capacity.py` | the gateway has no room or no endpoint now       |

Foreign exceptions become one of these in `providers/`. These become HTTP in `api/render.py` and nowhere else.
"""

from gateway.core.errors.base import ClientStalled, GatewayError
from gateway.core.errors.caller import (
    CallerError,
    Forbidden,
    InvalidRequest,
    MethodNotAllowed,
    ModelNotFound,
    NotFound,
    RequestTimeout,
    RequestTooLarge,
    Unauthenticated,
    UnsupportedMedia,
)
from gateway.core.errors.capacity import (
    CapacityError,
    DeadlineExceeded,
    EventLoopLate,
    NoCapacity,
    Overloaded,
    QueueFull,
    QueueTimeout,
    ShuttingDown,
)
from gateway.core.errors.upstream import (
    ContentRefused,
    ContextTooLong,
    CredentialRefused,
    ProtocolError,
    QuotaUsedUp,
    Rejected,
    StillWarming,
    StreamFailed,
    StreamInterrupted,
    Unavailable,
    Untranslatable,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamTimeout,
)

__all__ = [
    "CallerError",
    "CapacityError",
    "ClientStalled",
    "ContentRefused",
    "ContextTooLong",
    "CredentialRefused",
    "DeadlineExceeded",
    "EventLoopLate",
    "Forbidden",
    "GatewayError",
    "InvalidRequest",
    "MethodNotAllowed",
    "ModelNotFound",
    "NoCapacity",
    "NotFound",
    "Overloaded",
    "ProtocolError",
    "QueueFull",
    "QueueTimeout",
    "QuotaUsedUp",
    "Rejected",
    "RequestTimeout",
    "RequestTooLarge",
    "ShuttingDown",
    "StillWarming",
    "StreamFailed",
    "StreamInterrupted",
    "Unauthenticated",
    "Unavailable",
    "UnsupportedMedia",
    "Untranslatable",
    "UpstreamError",
    "UpstreamRateLimited",
    "UpstreamTimeout",
]

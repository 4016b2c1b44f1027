"""Everything that can go wrong with a request, and what it means for the client, the retry and the breaker.

Three families. `CallerError`: the request is at fault. `UpstreamError`: a provider is.
`CapacityError`: the gateway itself can't take it now. Foreign exceptions become one of these at the
transport; these become HTTP only in `api/render.py`.
"""

from typing import ClassVar, Self

from gateway.core.faults import EFFECTS, Effect, Fault
from gateway.core.response import Response


class GatewayError(Exception):
    """What a client is told. Class attributes give the kind, instances the particulars.

    `status` and `type` are OpenAI's; `code` is the machine-readable particular; `message` never holds a
    secret, a path, an address or prompt text.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str | None] = None
    response: Response | None = None  # the provider's own refusal of a request that is passed through, sent as it came

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.error_code = code or type(self).code
        self.http_status = status or type(self).status
        self.retry_after_s = retry_after_s

    @property
    def is_retryable(self) -> bool:
        """Whether any other endpoint may be asked."""
        return False

    @property
    def hurts_breaker(self) -> bool:
        """Whether it counts as a failure of the endpoint that was asked."""
        return False


class CallerError(GatewayError):
    """The request can't be served as it is; asking again changes nothing."""

    status = 400
    type = "invalid_request_error"


class InvalidRequest(CallerError):
    """A field is missing, of the wrong type or out of range; `param` names it."""

    code = "invalid_request"


class Unauthenticated(CallerError):
    """No credential, an unknown one, or two that differ."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class Forbidden(CallerError):
    """A valid credential that may not do this."""

    status = 403
    type = "permission_error"
    code = "forbidden"


class NotFound(CallerError):
    """No such path."""

    status = 404
    code = "not_found"


class ModelNotFound(CallerError):
    """The model is unknown, or not allowed to this key; the two look alike on purpose."""

    status = 404
    code = "model_not_found"


class MethodNotAllowed(CallerError):
    """The path exists, the method does not; `allow` names those that do, as the header of that name has them."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, message: str, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class RequestTimeout(CallerError):
    """The head or the body of the request took too long to arrive."""

    status = 408
    code = "request_timeout"


class RequestTooLarge(CallerError):
    """The body is over the limit."""

    status = 413
    code = "request_too_large"


class UnsupportedMedia(CallerError):
    """The body is not JSON by its own account."""

    status = 415
    code = "unsupported_media_type"


class UpstreamError(GatewayError):
    """A provider failed. `upstream_status` is what it answered, where it answered.

    `fault` says what went wrong: the class' own unless the instance knows better. All that follows, follows from it.
    """

    status = 502
    type = "upstream_error"
    code = "upstream_error"
    fault: Fault = Fault.SERVER_ERROR

    upstream_status: int | None = None
    is_echo: bool = False  # the same failure is told to another request, which tells the breaker

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        status: int | None = None,
        retry_after_s: float | None = None,
        fault: Fault | None = None,
    ) -> None:
        super().__init__(message, code=code, param=param, status=status, retry_after_s=retry_after_s)
        if fault is not None:
            self.fault = fault

    @property
    def effect(self) -> Effect:
        """What follows: for the pool, the other pools, the breaker and the client."""
        return EFFECTS[self.fault]

    @property
    def is_retryable(self) -> bool:
        return self.effect.elsewhere == "yes"

    @property
    def hurts_breaker(self) -> bool:
        return self.effect.hurts_breaker and not self.is_echo

    def echo(self) -> Self:
        """Give the same error for another request that failed with this one: of one call a breaker hears once."""
        other = type(self).__new__(type(self), *self.args)
        other.__dict__.update(self.__dict__, is_echo=True)
        return other


class Unavailable(UpstreamError):
    """No answer could be had: DNS, refusal, TLS, a reset or close, a 5xx of its own, or an error where an answer was due."""

    code = "upstream_unavailable"


class Untranslatable(UpstreamError):
    """The request asks for something that a provider of another dialect can't be asked for; `param` names the field."""

    status = 400
    type = "invalid_request_error"
    code = "unsupported_parameter"
    fault = Fault.UNTRANSLATABLE

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message, code=code)
        self.param = param


class UpstreamTimeout(UpstreamError):
    """One of the five clocks ran out; `code` names it, as in `first_token_timeout`."""

    status = 504
    code = "upstream_timeout"
    fault = Fault.ANSWER


class StillWarming(UpstreamTimeout):
    """A server that the gateway itself starts did not come up in time; that it is new is no fault of its."""

    code = "still_warming"
    fault = Fault.WARMING


class ProtocolError(UpstreamError):
    """The provider answered something that is not what was asked for: HTML, garbage, a broken frame, too much."""

    code = "upstream_protocol_error"
    fault = Fault.MALFORMED


class UpstreamRateLimited(UpstreamError):
    """The provider answered 429; `retry_after_s` is what it asked for."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    fault = Fault.RATE_LIMITED


class QuotaUsedUp(UpstreamRateLimited):
    """The provider answered 429 and means that our credit or quota there is used up: no waiting helps."""

    type = "insufficient_quota"
    code = "upstream_quota_used_up"
    fault = Fault.QUOTA


class CredentialRefused(UpstreamError):
    """The provider refuses the gateway's own key (401 or 403): ours to mend, not the client's."""

    code = "upstream_credential_refused"
    fault = Fault.CREDENTIAL


class Rejected(UpstreamError):
    """The provider's own 4xx, passed on with its status and body; neither retried nor counted.

    `body` and `content_type` are the provider's bytes, sent on as they came.
    """

    status = 400
    type = "invalid_request_error"
    fault = Fault.REJECTED

    def __init__(self, message: str, *, status: int, body: bytes, content_type: str) -> None:
        super().__init__(message, status=status)
        self.upstream_status = status
        self.body = body
        self.content_type = content_type


class ContextTooLong(Rejected):
    """The request does not fit the model's context window; a model with a bigger one may take it."""

    code = "context_length_exceeded"
    fault = Fault.CONTEXT_LENGTH


class ContentRefused(Rejected):
    """The provider's policy refuses the content; another provider's may not."""

    code = "content_policy_violation"
    fault = Fault.CONTENT_POLICY


class StreamInterrupted(UpstreamError):
    """The answer broke off after its first content had gone to the client."""

    code = "stream_interrupted"
    fault = Fault.INTERRUPTED


class StreamFailed(StreamInterrupted):
    """The provider itself reported an error in its stream; the client has that event already and is told nothing more."""

    code = "upstream_stream_error"


class ClientStalled(GatewayError):
    """The client takes nothing any more; its connection is cut. Nobody is left to be told."""

    status = 499
    type = "client_error"
    code = "client_stalled"


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

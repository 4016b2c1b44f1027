"""`UpstreamError`: a provider failed. What follows from each failure stands in the table of `core/faults.py`."""

from typing import Self

from gateway.core.errors.base import GatewayError
from gateway.core.faults import EFFECTS, Effect, Fault


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
        return self.effect.failover == "yes"

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

"""`UpstreamError`: a provider failed. What follows from each failure stands in the table of `core/faults.py`."""

from typing import Final, Self

from gateway.core.errors.base import ErrorCode, GatewayError
from gateway.core.faults import EFFECTS, Effect, Fault


class UpstreamError(GatewayError):
    """A provider failed. `upstream_status` is the status of its response, None without a response.

    `fault` says what went wrong: the class attribute, unless the instance has its own. It determines retries, failover, breaker
    and status.
    """

    status = 502
    type = "upstream_error"
    code = "upstream_error"
    fault: Fault = Fault.SERVER_ERROR

    upstream_status: int | None = None
    provider_words: str = ""  # of an error that the provider sent: redacted, cut, for the log
    should_retry: bool | None = None  # what the provider's `x-should-retry` says, None for nothing
    is_echo: bool = False  # a copy for a further request of a batch; the breaker counts the original only

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
        """The row of the fault in the table of `core/faults.py`."""
        return EFFECTS[self.fault]

    @property
    def is_retryable(self) -> bool:
        return self.effect.failover == "yes"

    @property
    def hurts_breaker(self) -> bool:
        return self.effect.hurts_breaker and not self.is_echo

    def echo(self) -> Self:
        """Return a copy for another request of the same batch: the breaker counts one failure for one upstream request."""
        other = type(self).__new__(type(self), *self.args)
        other.__dict__.update(self.__dict__, is_echo=True)
        return other


class Unavailable(UpstreamError):
    """There is no response (DNS, refusal, TLS, reset or close), or it is a 5xx, or an error with status 200."""

    code = "upstream_unavailable"


class Untranslatable(UpstreamError):
    """The provider's dialect cannot express a field of the request; `param` names the field."""

    status = 400
    type = "invalid_request_error"
    code = "unsupported_parameter"
    fault = Fault.UNTRANSLATABLE

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message, code=code)
        self.param = param


class UpstreamTimeout(UpstreamError):
    """One of the five timeouts ran out; `code` names it, as in `first_token_timeout`."""

    status = 504
    code = "upstream_timeout"
    fault = Fault.ANSWER


class StillWarming(UpstreamTimeout):
    """A server that the gateway itself starts was not up in time. That is no failure of the endpoint."""

    code = "still_warming"
    fault = Fault.WARMING


class ProtocolError(UpstreamError):
    """The response is not valid: HTML, garbage, broken framing, too long."""

    code = "upstream_protocol_error"
    fault = Fault.MALFORMED


class UpstreamRateLimited(UpstreamError):
    """The provider responded with 429; `retry_after_s` is the wait that it asked for."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    fault = Fault.RATE_LIMITED


class QuotaUsedUp(UpstreamRateLimited):
    """The gateway's credit or quota at the provider is used up, by whatever status: waiting does not help."""

    type = "insufficient_quota"
    should_retry = False  # the official clients retry after every other 429
    code = "upstream_quota_used_up"
    fault = Fault.QUOTA


class CredentialRefused(UpstreamError):
    """The provider refuses the gateway's own key, by whatever status. The operator has to act, not the client."""

    code = "upstream_credential_refused"
    fault = Fault.CREDENTIAL


class ModelGone(UpstreamError):
    """The provider does not have the model that the configuration names. The operator has to act, not the client."""

    should_retry = False
    code = "upstream_model_not_found"
    fault = Fault.MODEL_GONE


class Rejected(UpstreamError):
    """The provider's own 4xx, forwarded with its status and body; neither retried nor counted by the breaker.

    `body` and `content_type` are the provider's bytes, forwarded unchanged.
    """

    status = 400
    type = "invalid_request_error"
    code = "upstream_rejected"
    fault = Fault.REJECTED

    def __init__(self, message: str, *, status: int, body: bytes, content_type: str) -> None:
        super().__init__(message, status=status)
        self.upstream_status = status
        self.body = body
        self.content_type = content_type


class ContextTooLong(Rejected):
    """The request does not fit the model's context window; a model with a larger one may accept it."""

    code = "context_length_exceeded"
    fault = Fault.CONTEXT_LENGTH


class ContentRefused(Rejected):
    """The provider's policy refuses the content; another provider may accept it."""

    code = "content_policy_violation"
    fault = Fault.CONTENT_POLICY


class Transient(Rejected):
    """A 4xx that passes by itself (408, 409, 425, or one with `x-should-retry: true`); forwarded if no other attempt succeeds."""

    code = "upstream_transient"
    fault = Fault.TRANSIENT


class StreamInterrupted(UpstreamError):
    """The response broke off after its first content was sent to the client."""

    code = "stream_interrupted"
    fault = Fault.INTERRUPTED


class StreamFailed(StreamInterrupted):
    """The provider reported an error in its stream. The client has received that event, so the gateway adds none."""

    code = "upstream_stream_error"


UPSTREAM_CODES: Final = (
    ErrorCode("upstream_error", "502", "a provider failed, without a more specific code", hurts_breaker=True),
    ErrorCode("upstream_unavailable", "502, or the provider's 5xx", "no provider gave a response", hurts_breaker=True),
    ErrorCode("upstream_connect", "502", "no connection: DNS, refused, or the proxy denies it", hurts_breaker=True),
    ErrorCode(
        "upstream_tls", "502", "TLS failed or the provider's certificate could not be verified", hurts_breaker=True
    ),
    ErrorCode(
        "upstream_protocol_error",
        "502",
        "invalid response: HTML, garbage, broken framing, larger than `server.limits` allow",
        hurts_breaker=True,
    ),
    ErrorCode("upstream_credential_refused", "502", "the provider refuses the gateway's key"),
    ErrorCode(
        "upstream_model_not_found",
        "502",
        "the provider does not have the model that the configuration names: retired, or not permitted for the gateway's key",
    ),
    ErrorCode(
        "upstream_rejected",
        "the provider's 4xx",
        "the provider rejected the request; the client gets the provider's own body, so the code is in the log",
    ),
    ErrorCode(
        "upstream_transient",
        "the provider's 4xx",
        "408, 409 or 425, or a 4xx with `x-should-retry: true`, from every endpoint; the client gets the provider's own body",
    ),
    ErrorCode(
        "context_length_exceeded",
        "400, or the provider's 4xx",
        "the request is too long for the model, and no model with a bigger window is available",
    ),
    ErrorCode("content_policy_violation", "400, or the provider's 4xx", "the provider's policy refuses the content"),
    ErrorCode("stream_interrupted", "502", "the stream broke off after its first content", hurts_breaker=True),
    ErrorCode(
        "upstream_stream_error",
        "502",
        "the provider reported an error in its stream; the client got the provider's error event, and gets no second one",
        hurts_breaker=True,
    ),
    ErrorCode("rate_limit_exceeded", "429", "the provider's rate limit; `Retry-After` is the provider's"),
    ErrorCode("upstream_quota_used_up", "429", "the credit or quota at the provider is used up; waiting does not help"),
    ErrorCode("upstream_timeout", "504", "a timeout without a more specific code", hurts_breaker=True),
    ErrorCode("connect_timeout", "504", "no connection within `timeout.connect`", hurts_breaker=True),
    ErrorCode("first_token_timeout", "504", "a stream had no content for `timeout.first_token`", hurts_breaker=True),
    ErrorCode(
        "still_warming", "504", "the only available server was still starting when `timeout.first_token` ran out"
    ),
    ErrorCode(
        "answer_timeout", "504", "an unstreamed response did not begin within `timeout.answer`", hurts_breaker=True
    ),
    ErrorCode("idle_timeout", "504", "a response paused for longer than `timeout.idle`", hurts_breaker=True),
)
"""Every code of this family; `docs/errors.md` shows the table."""

"""`CallerError`: the request is at fault. Sending it again changes nothing."""

from typing import Final

from gateway.core.errors.base import ErrorCode, GatewayError


class CallerError(GatewayError):
    """The request cannot be served as it is; a retry changes nothing."""

    status = 400
    type = "invalid_request_error"


class InvalidRequest(CallerError):
    """A field is missing, of the wrong type or out of range; `param` names it."""

    code = "invalid_request"


class Unauthenticated(CallerError):
    """No API key, an unknown one, or two different ones."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class Forbidden(CallerError):
    """The API key is valid, but does not permit this."""

    status = 403
    type = "permission_error"
    code = "forbidden"


class NotFound(CallerError):
    """No such path."""

    status = 404
    code = "not_found"


class ModelNotFound(CallerError):
    """The model is unknown, or not allowed for this key. The two cases look alike on purpose."""

    status = 404
    code = "model_not_found"


class MethodNotAllowed(CallerError):
    """The path does not accept the method. `allow` is the value of the `Allow` header."""

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
    """The body exceeds the limit."""

    status = 413
    code = "request_too_large"


class UnsupportedMedia(CallerError):
    """The `Content-Type` of the body is not JSON."""

    status = 415
    code = "unsupported_media_type"


CALLER_CODES: Final = (
    ErrorCode("invalid_request", "400", "the request is invalid"),
    ErrorCode(
        "invalid_json",
        "400",
        "the body is not JSON, is nested too deeply, or has more names or values than `server.limits` allow",
    ),
    ErrorCode(
        "invalid_http", "400", "the request is not valid HTTP, is ambiguous, or its body does not match its framing"
    ),
    ErrorCode("upgrade_refused", "400", "the request asks for a WebSocket (`Upgrade`)"),
    ErrorCode("missing_required_parameter", "400", "a required field is missing; `param` names it"),
    ErrorCode("invalid_type", "400", "a field has a value of the wrong type"),
    ErrorCode("invalid_value", "400", "the value of a field is out of range"),
    ErrorCode(
        "unsupported_parameter",
        "400",
        "a parameter has no counterpart in the provider's dialect; see [dialects.md](dialects.md)",
    ),
    ErrorCode("invalid_api_key", "401", "no key, an unknown one, or two that differ"),
    ErrorCode("forbidden", "403", "the key is valid, but not permitted to do this"),
    ErrorCode("not_found", "404", "no such path"),
    ErrorCode(
        "model_not_found",
        "404",
        "the model does not exist or is not permitted for this key; the two look alike on purpose",
    ),
    ErrorCode(
        "unsupported_endpoint",
        "400",
        "the model exists, but none of its providers has the requested API (such as embeddings from a provider with chat only)",
    ),
    ErrorCode("method_not_allowed", "405", "the path exists, but not with this method; `Allow` lists the methods"),
    ErrorCode(
        "request_timeout",
        "408",
        "the head or the body took too long to arrive (for a passed-through body: its next part)",
    ),
    ErrorCode(
        "request_too_large",
        "413",
        "the body is larger than `server.limits.body` (for a passed-through body: `server.limits.upload`)",
    ),
    ErrorCode(
        "head_too_large",
        "414 for the request line, 431 for the headers",
        "a request line over 8 KiB, a header over 16 KiB, more than 100 headers, or more than 32 KiB in all",
    ),
    ErrorCode("unsupported_media_type", "415", "the content type is not `application/json`, or the body is compressed"),
    ErrorCode("expectation_failed", "417", "an `Expect` other than `100-continue`"),
    ErrorCode(
        "misdirected_request", "421", "the request line names another server; the gateway is not a forward proxy"
    ),
    ErrorCode(
        "request_loop",
        "400",
        "the request has passed through this kind of gateway twice (`Via`): a provider's `url` leads back to the gateway",
    ),
)
"""Every code of this family; `docs/errors.md` shows the table."""

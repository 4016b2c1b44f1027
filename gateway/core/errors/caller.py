"""`CallerError`: the request is at fault. Sending it again changes nothing."""

from gateway.core.errors.base import GatewayError


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

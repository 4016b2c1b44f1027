"""`CallerError`: the request is at fault. Sending it again changes nothing."""

from gateway.core.errors.base import GatewayError


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

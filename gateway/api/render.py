"""Our errors as HTTP: the only place where they become a status and a body."""

import math
from typing import Final

from aiohttp import web

from gateway.core.errors import GatewayError, MethodNotAllowed, Rejected, Unauthenticated
from gateway.dialects import DEFAULT
from gateway.dialects.base import Dialect

SERVER: Final = "llm-gateway"  # whoever asks need not know which versions of what serve


def error_body(error: GatewayError, dialect: Dialect = DEFAULT) -> tuple[bytes, str]:
    """Give an error's body and content type; a provider's own rejection keeps the body that it came with."""
    if isinstance(error, Rejected) and error.body and "json" in error.content_type:
        return error.body, error.content_type
    return dialect.encode_error(error), "application/json"


def error_headers(error: GatewayError) -> dict[str, str]:
    """Give the headers that a client needs to act on an error."""
    headers: dict[str, str] = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_s)))
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = 'Bearer realm="llm-gateway"'
    if isinstance(error, MethodNotAllowed) and error.param:
        headers["allow"] = error.param
    return headers


def error_response(error: GatewayError, request_id: str = "") -> web.Response:
    """Give a whole response for an error outside the request path proper."""
    body, content_type = error_body(error)
    headers = {**error_headers(error), "content-type": content_type, "cache-control": "no-store", "server": SERVER}
    if request_id:
        headers["x-request-id"] = request_id
    return web.Response(body=body, status=error.http_status, headers=headers)

"""Convert gateway errors to HTTP: no other file gives an error its status, headers and body."""

import math
from http import HTTPStatus
from typing import Final, Protocol

from aiohttp import web

from gateway.core.errors import GatewayError, MethodNotAllowed, Rejected, Unauthenticated, UpstreamError
from gateway.dialects import DEFAULT, ID_HEADERS, id_lines
from gateway.dialects.base import Dialect

SERVER: Final = "llm-gateway"  # reveals no software versions
REASONS: Final = {status.value: status.phrase for status in HTTPStatus}


def error_body(error: GatewayError, dialect: Dialect = DEFAULT, request_id: str = "") -> tuple[bytes, str]:
    """Return an error's body and content type; a provider's rejection keeps its original body if that is JSON."""
    error.request_id = request_id
    if isinstance(error, Rejected) and error.body and "json" in error.content_type:
        return error.body, error.content_type
    return dialect.encode_error(error), "application/json"


def error_headers(error: GatewayError) -> dict[str, str]:
    """Return the headers that tell a client how to act on an error."""
    headers: dict[str, str] = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_s)))
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = 'Bearer realm="llm-gateway"'
    if isinstance(error, MethodNotAllowed):
        headers["allow"] = error.allow
    if isinstance(error, UpstreamError) and error.should_retry is not None:
        headers["x-should-retry"] = "true" if error.should_retry else "false"
    return headers


def error_response(error: GatewayError, request_id: str = "", dialect: Dialect = DEFAULT) -> web.Response:
    """Return a complete response for an error outside the normal request path."""
    body, content_type = error_body(error, dialect, request_id)
    headers = {**error_headers(error), "content-type": content_type, "cache-control": "no-store", "server": SERVER}
    if request_id:
        headers |= dict.fromkeys(ID_HEADERS[dialect.VENDOR], request_id)
    return web.Response(body=body, status=error.http_status, headers=headers)


class ClosableConnection(Protocol):
    """A connection that closes without losing the response."""

    async def close_gracefully(self) -> None: ...


class SentResponse:
    """A response that has been written already, with the methods that aiohttp expects of a response."""

    __slots__ = ("_connection", "keep_alive")

    def __init__(self, connection: ClosableConnection, *, keep_alive: bool) -> None:
        self._connection = connection
        self.keep_alive = keep_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self) -> None:
        if not self.keep_alive:
            await self._connection.close_gracefully()


class ClosingErrorResponse:
    """An error response that ends its connection, with the methods that aiohttp expects of a response.

    It writes its own head, because aiohttp's response would repeat the HTTP version of an invalid request.
    """

    __slots__ = ("_connection", "_data")

    keep_alive = False

    def __init__(
        self,
        connection: "ClosableConnection",
        error: GatewayError,
        request_id: str,
        *,
        is_head: bool,
        dialect: Dialect = DEFAULT,
    ) -> None:
        self._connection = connection
        body, content_type = error_body(error, dialect, request_id)
        headers = {
            **error_headers(error),
            "content-type": content_type,
            "content-length": str(len(body)),
            "cache-control": "no-store",
            "server": SERVER,
            "connection": "close",
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        lines += id_lines(dialect.VENDOR, request_id)
        reason = REASONS.get(error.http_status, "")
        self._data = f"HTTP/1.1 {error.http_status} {reason}\r\n{lines}\r\n".encode() + (b"" if is_head else body)

    async def prepare(self, request: web.BaseRequest) -> None:
        if request.transport is not None and not request.transport.is_closing():
            request.transport.write(self._data)

    async def write_eof(self) -> None:
        await self._connection.close_gracefully()

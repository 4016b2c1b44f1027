"""Our errors as HTTP: the only place where they become a status and a body."""

import math
from http import HTTPStatus
from typing import Final, Protocol

from aiohttp import web

from gateway.core.errors import GatewayError, MethodNotAllowed, QuotaUsedUp, Rejected, Unauthenticated
from gateway.dialects import DEFAULT, ID_HEADERS, id_lines
from gateway.dialects.base import Dialect

SERVER: Final = "llm-gateway"  # whoever asks need not know which versions of what serve
REASONS: Final = {status.value: status.phrase for status in HTTPStatus}


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
    if isinstance(error, MethodNotAllowed):
        headers["allow"] = error.allow
    if isinstance(error, QuotaUsedUp):  # the official clients ask again after every 429 but this
        headers["x-should-retry"] = "false"
    return headers


def error_response(error: GatewayError, request_id: str = "", dialect: Dialect = DEFAULT) -> web.Response:
    """Give a whole response for an error outside the request path proper."""
    body, content_type = error_body(error, dialect)
    headers = {**error_headers(error), "content-type": content_type, "cache-control": "no-store", "server": SERVER}
    if request_id:
        headers |= dict.fromkeys(ID_HEADERS[dialect.VENDOR], request_id)
    return web.Response(body=body, status=error.http_status, headers=headers)


class Parting(Protocol):
    """A connection that may have to be ended with care."""

    async def part(self) -> None: ...


class LastAnswer:
    """An error that ends its connection, as aiohttp asks for a response.

    It stands for itself where aiohttp's own would repeat the version of a request that was none.
    """

    __slots__ = ("_connection", "_data")

    keep_alive = False

    def __init__(
        self,
        connection: "Parting",
        error: GatewayError,
        request_id: str,
        *,
        is_head: bool,
        dialect: Dialect = DEFAULT,
    ) -> None:
        self._connection = connection
        body, content_type = error_body(error, dialect)
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
        await self._connection.part()

"""A client's connection: aiohttp's own, told to speak JSON when it finds fault, to say when the client has room again,
and to wait for the head of a request only so long."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from gateway.api.render import error_response
from gateway.api.request_id import RequestIds
from gateway.core.errors import GatewayError, InvalidRequest, RequestTimeout

WRITE_HIGH_WATER = 64 * 2**10  # bytes waiting for a client before its provider is held up
HEAD_TIMEOUT_S = 5.0

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class ClientConnection(RequestHandler):
    """Serves the requests of one connection, one after the other."""

    __slots__ = ("_head_timer", "_server", "on_drain")

    def __init__(self, server: "ClientServer", **settings: Any) -> None:
        super().__init__(server, **settings)
        self._server = server
        self._head_timer: asyncio.TimerHandle | None = None
        self.on_drain: Callable[[], None] | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse `data`; where it begins a head and does not complete it, the time for that runs."""
        super().data_received(data)
        waiter = self._waiter
        if waiter is None:
            return
        if waiter.done():
            self._stop_head_timer()
        elif self._head_timer is None:
            self._head_timer = self._loop.call_later(self._server.head_timeout_s(), self._head_is_late)

    def resume_writing(self) -> None:
        super().resume_writing()
        on_drain, self.on_drain = self.on_drain, None
        if on_drain is not None:
            on_drain()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what the parser refused, and what no one else caught, in our own shape; then close.

        The parser's own words may hold what the client sent, so they are not repeated.
        """
        request_id = self._server.ids.of(request.headers)
        if status == 500:
            self.logger.error("unexpected failure of a request", exc_info=exc, extra={"request_id": request_id})
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun: nothing can be said any more")
        error: GatewayError
        if status == HTTPStatus.REQUEST_TIMEOUT:
            error = RequestTimeout("the head of the request took too long to arrive")
        elif status < 500:
            error = InvalidRequest("the request is not valid HTTP", code="invalid_http", status=status)
        else:
            error = GatewayError("an unexpected failure", code="internal_error", status=status)
        response = error_response(error, request_id)
        response.force_close()
        response.headers["connection"] = "close"  # what can't be parsed has no version from which it would follow
        return response

    def _head_is_late(self) -> None:
        """Hand the request path a fault, as the parser would."""
        self._head_timer = None
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            late = _ErrInfo(HTTPStatus.REQUEST_TIMEOUT, HttpProcessingError(message="late"), "late")
            self._messages.append((late, EMPTY_PAYLOAD))
            waiter.set_result(None)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class ClientServer(web.Server):
    """Makes a `ClientConnection` for each that is accepted. `head_timeout_s` may change while it serves."""

    def __init__(
        self, handler: Handler, *, head_timeout_s: Callable[[], float] = lambda: HEAD_TIMEOUT_S, **settings: Any
    ) -> None:
        super().__init__(handler, **settings)
        self.head_timeout_s = head_timeout_s
        self.ids = RequestIds()

    def __call__(self) -> RequestHandler:
        return ClientConnection(self, loop=self._loop, **self._kwargs)

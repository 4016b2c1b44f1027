"""A client's connection: aiohttp's own, told to speak JSON when it finds fault, and to say when the client has room again."""

from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from gateway.api.render import error_response
from gateway.core.errors import GatewayError, InvalidRequest

WRITE_HIGH_WATER = 64 * 2**10  # bytes waiting for a client before its provider is held up


class ClientConnection(RequestHandler):
    """Serves the requests of one connection, one after the other."""

    __slots__ = ("on_drain",)

    def __init__(self, server: "ClientServer", **settings: Any) -> None:
        super().__init__(server, **settings)
        self.on_drain: Callable[[], None] | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)

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
        if status == 500:
            self.logger.error("unexpected failure of a request", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun: nothing can be said any more")
        error: GatewayError
        if status < 500:
            error = InvalidRequest("the request is not valid HTTP", code="invalid_http", status=status)
        else:
            error = GatewayError("an unexpected failure", code="internal_error", status=status)
        response = error_response(error)
        response.force_close()
        return response


class ClientServer(web.Server):
    """Makes a `ClientConnection` for each that is accepted."""

    def __call__(self) -> RequestHandler:
        return ClientConnection(self, loop=self._loop, **self._kwargs)

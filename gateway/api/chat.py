"""`POST` of a client dialect: make the exchange, and send it down the line."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, cast

from aiohttp import web

from gateway import lifecycle as pipeline
from gateway.api.http_client import HttpClient
from gateway.api.request_id import RequestIds
from gateway.core.errors import GatewayError
from gateway.core.exchange import Exchange
from gateway.dialects import ESTIMATED
from gateway.dialects.base import Dialect
from gateway.snapshot import Services
from gateway.upstream.dispatcher import dispatch
from gateway.upstream.token_count import counted

if TYPE_CHECKING:
    from gateway.api.cors import Cors

log = logging.getLogger(__name__)


class Chat:
    """Serves one dialect."""

    def __init__(self, services: Services, dialect: Dialect, ids: RequestIds, cors: "Cors | None" = None) -> None:
        self._services = services
        self._dialect = dialect
        self._ids = ids
        self._cors = cors
        self._obtain: pipeline.Obtain = counted if dialect.PATH in ESTIMATED else dispatch

    async def post(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve a request; what is returned has been sent already."""
        services = self._services
        snapshot = services.snapshot
        exchange = Exchange(
            self._ids.of(request.headers),
            services.clock.monotonic(),
            snapshot.generation,
            self._dialect.PATH,
            request.headers,
        )
        client = HttpClient(request, exchange, self._dialect, snapshot.spec.server.limits, services.clock)
        if self._cors is not None:
            client.cors = self._cors.header_lines(request.headers)
        return await attend(
            exchange, services, client, pipeline.serve(exchange, snapshot, services, client, self._obtain)
        )


async def attend(
    exchange: Exchange, services: Services, client: HttpClient, line: Coroutine[None, None, None]
) -> web.StreamResponse:
    """Send an exchange down its line, and see to the end that its client gets an answer; that has been sent then."""
    if services.draining:
        client.response.keep_alive = False  # the client's next request goes to somebody who stays
    task = asyncio.current_task()
    assert task is not None
    services.running[exchange] = task
    try:
        await line
        await client.drained()
    except Exception:  # a mistake of our own: the last catch
        log.exception("unexpected failure of a request", extra={"request_id": exchange.id})
        client.break_down(GatewayError("an unexpected failure", code="internal_error"))
    finally:
        client.leave()
        del services.running[exchange]
    return cast(web.StreamResponse, client.response)

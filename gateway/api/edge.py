"""The edge of the request path: a client's HTTP request becomes an exchange, runs through the lifecycle, and always gets an answer."""

import asyncio
import logging
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web

from gateway.api.client_side import ClientSide
from gateway.api.request_id import RequestIds
from gateway.core.errors import GatewayError
from gateway.core.exchange import Exchange, Timeline
from gateway.dialects.base import Dialect
from gateway.lifecycle import RequestKind, serve
from gateway.snapshot import Services

if TYPE_CHECKING:
    from gateway.api.cors import Cors

log = logging.getLogger(__name__)


class Edge:
    """Serves requests of the public listeners, whatever their kind."""

    def __init__(self, services: Services, ids: RequestIds, cors: "Cors | None" = None) -> None:
        self._services = services
        self._ids = ids
        self._cors = cors

    async def serve(
        self,
        request: web.BaseRequest,
        path: str,
        dialect: Dialect,
        kind: RequestKind[Any],
        client_type: type[ClientSide] = ClientSide,
    ) -> web.StreamResponse:
        """Serve a request; the returned response has been sent already."""
        services = self._services
        snapshot = services.snapshot
        exchange = Exchange(
            self._ids.of(request.headers),
            snapshot.generation,
            request.method,
            path,
            request.headers,
            Timeline(services.clock.monotonic),
        )
        client = client_type(request, exchange, dialect, snapshot.spec.server.limits, services)
        if self._cors is not None:
            client.cors = self._cors.header_lines(request.headers)
        if services.draining:
            client.response.keep_alive = False  # the client's next request goes to a worker that stays
        task = asyncio.current_task()
        assert task is not None
        services.running[exchange] = task
        try:
            await serve(exchange, snapshot, services, kind, client)
            await client.drained()
        except Exception:  # a mistake of the gateway's own: the last catch
            log.exception("unexpected failure of a request", extra={"request_id": exchange.id})
            client.break_down(GatewayError("an unexpected failure", code="internal_error"))
        finally:
            client.leave()
            client.release()
            del services.running[exchange]
        return cast(web.StreamResponse, client.response)

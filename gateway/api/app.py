"""The public listener: which path is whose.

A dictionary instead of aiohttp's `Application`: with a handful of fixed paths its resolver and middlewares would be a fifth
of the cost of a request.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from gateway import dialects
from gateway.api.connection import ClientServer
from gateway.api.edge import Edge
from gateway.api.health import health, ready
from gateway.api.kinds import MODEL_LIST, MODEL_REQUEST, TOKEN_COUNT
from gateway.api.models import PATH as MODELS
from gateway.api.passthrough import PASSTHROUGH, PassthroughClient
from gateway.api.render import SERVER, error_response
from gateway.api.request_checks import path_of
from gateway.api.request_id import RequestIds
from gateway.core.errors import GatewayError, MethodNotAllowed, NotFound
from gateway.core.reserved_paths import REALTIME_UNSUPPORTED, is_realtime_path
from gateway.dialects import ID_HEADERS, dialect_of, vendor_of
from gateway.snapshot import Services

if TYPE_CHECKING:
    from gateway.api.cors import Cors

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Public:
    """Handles every request of the public listeners. Nothing but `/health` and `/ready` answers without a credential."""

    def __init__(self, services: Services, cors: "Cors | None" = None) -> None:
        self._services = services
        self._ids = RequestIds()
        self._edge = Edge(services, self._ids, cors)
        self._kinds = {path: TOKEN_COUNT if path in dialects.ESTIMATED else MODEL_REQUEST for path in dialects.BY_PATH}
        self._gets: dict[str, Handler] = {"/health": self._health, "/ready": self._ready}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request."""
        path = path_of(request.raw_path)
        if request.method == "POST" and (kind := self._kinds.get(path)) is not None:
            return await self._edge.serve(request, path, dialects.BY_PATH[path], kind)
        if path.startswith("/v1/") and self._services.snapshot.router.is_passthrough_path(path):
            dialect = dialect_of(path, request.headers)
            return await self._edge.serve(request, path, dialect, PASSTHROUGH, PassthroughClient)
        if request.method in ("GET", "HEAD") and _is_models(path):
            return await self._edge.serve(request, path, dialect_of(path, request.headers), MODEL_LIST)
        request_id = self._ids.of(request.headers)
        try:
            response = await self._find(request, path)(request)
        except GatewayError as error:
            response = error_response(error, request_id, dialect_of(path, request.headers))
        for name in ID_HEADERS[vendor_of(request.headers)]:
            response.headers[name] = request_id
        if not request.content.is_eof():  # the next request can't be found behind a body that was not read
            response.force_close()
        return response

    def _find(self, request: web.BaseRequest, path: str) -> Handler:
        is_open = path in ("/health", "/ready")
        if not is_open:
            self._services.snapshot.auth.identify(request.headers)
        get = self._gets.get(path)
        allowed = ["GET", "HEAD"] * (get is not None or _is_models(path)) + ["POST"] * (path in self._kinds)
        if not allowed:
            raise NotFound(REALTIME_UNSUPPORTED if is_realtime_path(path) else "there is nothing at this path")
        if request.method not in allowed or get is None:
            names = ", ".join(allowed)
            raise MethodNotAllowed(f"this path takes {names}", allow=names)
        return get

    async def _health(self, request: web.BaseRequest) -> web.Response:
        return _json(health(self._services))

    async def _ready(self, request: web.BaseRequest) -> web.Response:
        status, body = ready(self._services)
        return _json(body, status)


def _is_models(path: str) -> bool:
    return path == MODELS or path.startswith(f"{MODELS}/")


def _json(body: Any, status: int = 200) -> web.Response:
    headers = {"content-type": "application/json", "cache-control": "no-store", "server": SERVER}
    return web.Response(body=msgspec.json.encode(body), status=status, headers=headers)


def make_runner(services: Services) -> web.ServerRunner:
    """Return the server of the public listeners, to be set up and given its sites.

    A handler is cancelled when its client leaves: that is what stops the provider.
    """
    handle, request_factory = _handler(services)
    server = ClientServer(
        handle,
        request_factory=request_factory,
        head_timeout_s=lambda: services.snapshot.spec.server.limits.head_timeout_s,
        handler_cancellation=True,
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=75.0,
    )
    return web.ServerRunner(server)


def _handler(services: Services) -> tuple[Handler, Callable[..., web.Request] | None]:
    """Return the handler of requests, and their factory where it is not aiohttp's own."""
    origins = services.snapshot.spec.server.cors
    if not origins:
        return Public(services).handle, None
    from gateway.api.cors import Cors  # an import that only this configuration needs

    cors = Cors(origins)
    return cors.wrap(Public(services, cors).handle), cors.request_factory()

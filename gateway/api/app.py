"""The public listener: which path is whose.

A dictionary instead of aiohttp's `Application`: with a handful of fixed paths its resolver and middlewares would be a fifth
of the cost of a request.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec
from aiohttp import web

from gateway import dialects
from gateway.api import models
from gateway.api.chat import Chat
from gateway.api.connection import ClientServer
from gateway.api.health import health, ready
from gateway.api.passthrough import PassThrough
from gateway.api.render import SERVER, error_response
from gateway.api.request_checks import path_of
from gateway.api.request_id import RequestIds
from gateway.core.errors import GatewayError, MethodNotAllowed, NotFound
from gateway.core.reserved_paths import NO_REALTIME, is_realtime
from gateway.dialects import spoken_at
from gateway.dialects.vendors import ID_HEADERS, vendor_of
from gateway.snapshot import Services

if TYPE_CHECKING:
    from gateway.api.cors import Cors

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Public:
    """Handles every request of the public listeners. Nothing but `/health` and `/ready` answers without a credential."""

    def __init__(self, services: Services, cors: "Cors | None" = None) -> None:
        self._services = services
        self._ids = RequestIds()
        self._posts: dict[str, Handler] = {
            path: Chat(services, dialect, self._ids, cors).post for path, dialect in dialects.BY_PATH.items()
        }
        self._pass_through = PassThrough(services, self._ids, cors)
        self._gets: dict[str, Handler] = {"/health": self._health, "/ready": self._ready, "/v1/models": self._models}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request."""
        path = path_of(request.raw_path)
        if request.method == "POST" and (post := self._posts.get(path)) is not None:
            return await post(request)
        if path.startswith("/v1/") and self._services.snapshot.router.passes(path):
            return await self._pass_through.serve(request, path)
        request_id = self._ids.of(request.headers)
        try:
            response = await self._find(request, path)(request)
        except GatewayError as error:
            response = error_response(error, request_id, spoken_at(path, request.headers))
        for name in ID_HEADERS[vendor_of(request.headers)]:
            response.headers[name] = request_id
        if not request.content.is_eof():  # a body that nobody asked for: the next request can't be found behind it
            response.force_close()
        return response

    def _find(self, request: web.BaseRequest, path: str) -> Handler:
        is_open = path in ("/health", "/ready")
        if not is_open:
            self._services.snapshot.auth.identify(request.headers)
        get = self._gets.get(path) or (self._model if path.startswith("/v1/models/") else None)
        allowed = ["GET", "HEAD"] * (get is not None) + ["POST"] * (path in self._posts)
        if not allowed:
            raise NotFound(NO_REALTIME if is_realtime(path) else "there is nothing at this path")
        if request.method not in allowed or get is None:
            names = ", ".join(allowed)
            raise MethodNotAllowed(f"this path takes {names}", allow=names)
        return get

    async def _health(self, request: web.BaseRequest) -> web.Response:
        return _json(health(self._services))

    async def _ready(self, request: web.BaseRequest) -> web.Response:
        status, body = ready(self._services)
        return _json(body, status)

    async def _models(self, request: web.BaseRequest) -> web.Response:
        snapshot = self._services.snapshot
        principal, vendor = snapshot.auth.identify(request.headers), vendor_of(request.headers)
        return _json(models.list_models(snapshot, principal, vendor, request.query))

    async def _model(self, request: web.BaseRequest) -> web.Response:
        snapshot = self._services.snapshot
        name = unquote(path_of(request.raw_path).removeprefix("/v1/models/"))
        principal = snapshot.auth.identify(request.headers)
        return _json(models.one_model(snapshot, principal, name, vendor_of(request.headers)))


def _json(body: Any, status: int = 200) -> web.Response:
    headers = {"content-type": "application/json", "cache-control": "no-store", "server": SERVER}
    return web.Response(body=msgspec.json.encode(body), status=status, headers=headers)


def make_runner(services: Services) -> web.ServerRunner:
    """Give the server of the public listeners, to be set up and given its sites.

    A handler is cancelled when its client leaves: that is what stops the provider.
    """
    handle, request_factory = _entrance(services)
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


def _entrance(services: Services) -> tuple[Handler, Callable[..., web.Request] | None]:
    """Give what handles requests, and what makes them where that is not aiohttp's own way."""
    origins = services.snapshot.spec.server.cors
    if not origins:
        return Public(services).handle, None
    from gateway.api.cors import Cors  # nobody else pays for it

    cors = Cors(origins)
    return cors.wrap(Public(services, cors).handle), cors.request_factory()

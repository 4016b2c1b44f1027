"""The admin surface, served by the control process: metrics, health, configuration, reload.

Two doors. The TCP listener checks `Host` and `Origin` (a page in the operator's browser must not reach it by DNS
rebinding) and asks for the admin key, but on `OPEN_PATHS`. The Unix socket for the local command line needs neither:
only the user who runs the gateway may connect to it. Fails closed.
"""

import hmac
import ipaddress
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from msgspec import json

from gateway.config.spec import Listen
from gateway.core.errors import Forbidden, GatewayError, InvalidRequest, MethodNotAllowed, NotFound, Unauthenticated
from gateway.core.secret import Secret

log = logging.getLogger(__name__)

OPEN_PATHS: Final = frozenset({"/metrics", "/health", "/ready"})
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Document = Mapping[str, Any]


class Control(Protocol):
    """What the admin surface shows and moves. Documents are plain JSON values without secrets."""

    async def metrics(self) -> bytes:
        """The exposition of all processes."""

    async def health(self) -> Document:
        """Whether all is well, and the circuits."""

    def ready(self) -> tuple[bool, Document]:
        """Whether requests are taken, and what still warms up."""

    def configuration(self) -> Document:
        """What is in force, and how the last reload ended."""

    async def reload(self) -> Document:
        """Read the files again; gives the outcome, with `ok`."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What a TCP listener asks of a request."""

    key: Secret
    listen: Listen

    def check(self, request: web.Request) -> None:
        """Let the request pass, or raise what is wrong with it."""
        is_open = request.path in OPEN_PATHS
        if len(request.headers.getall("Host", [])) > 1:
            raise InvalidRequest("more than one Host")
        # Whoever listens beyond loopback is reached by names we can't know (a scraper's service name); what needs no
        # key there is open to that network anyway.
        if not self._is_own_host(request.headers.get("Host", "")) and (self.listen.is_local or not is_open):
            raise Forbidden("this Host is not the admin listener's", code="unknown_host")
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("Host"):
            raise Forbidden("requests from other origins are not taken", code="foreign_origin")
        if not is_open and not self._is_authorized(request):
            raise Unauthenticated("the admin key is missing or wrong", code="invalid_admin_key")

    def _is_own_host(self, host: str) -> bool:
        name = _host_name(host)
        if name in ("localhost", self.listen.host.lower()):
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        # An address can't be rebound, but on a loopback listener only loopback addresses make sense.
        return address.is_loopback or not self.listen.is_local

    def _is_authorized(self, request: web.Request) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        expected = self.key.value.encode()
        return scheme.lower() == "bearer" and hmac.compare_digest(
            given.strip().encode(errors="surrogateescape"), expected
        )


def make_app(control: Control, guard: Guard | None) -> web.Application:
    """The application for one door; `guard` None: whoever can connect may do everything."""
    app = web.Application(middlewares=[_edge(guard)], client_max_size=64 * 1024)

    async def metrics(_: web.Request) -> web.StreamResponse:
        return web.Response(body=await control.metrics(), headers={"content-type": METRICS_TYPE})

    async def health(_: web.Request) -> web.StreamResponse:
        return _json(await control.health())

    async def ready(_: web.Request) -> web.StreamResponse:
        is_ready, document = control.ready()
        return _json(document, 200 if is_ready else 503)

    async def configuration(_: web.Request) -> web.StreamResponse:
        return _json(control.configuration())

    async def reload(_: web.Request) -> web.StreamResponse:
        outcome = await control.reload()
        return _json(outcome, 200 if outcome["ok"] else 422)

    app.router.add_get("/metrics", metrics)
    app.router.add_get("/health", health)
    app.router.add_get("/ready", ready)
    app.router.add_get("/admin/config", configuration)
    app.router.add_post("/admin/reload", reload)
    return app


def make_runner(app: web.Application) -> web.AppRunner:
    """A runner for `app` without an access log; what no parser takes is answered in our shape too."""
    return _Runner(app, access_log=None, shutdown_timeout=1.0)


class _Handler(web.RequestHandler):
    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what the parser refused, without its words: they may quote the request."""
        self.force_close()
        return _failure(GatewayError("internal error") if status >= 500 else InvalidRequest("malformed request"))


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Handler(self, loop=self._loop, **self._kwargs)


class _Runner(web.AppRunner):
    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server
        return server


def _edge(guard: Guard | None) -> Middleware:
    """The outermost layer: guards the door, and gives every error our shape."""

    @web.middleware
    async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if guard is not None:
                guard.check(request)
            response = await handler(request)
        except GatewayError as error:
            response = _failure(error)
        except web.HTTPMethodNotAllowed as error:
            response = _failure(MethodNotAllowed(f"method {request.method} is not taken here"))
            response.headers["allow"] = ", ".join(sorted(error.allowed_methods))
        except web.HTTPNotFound:
            response = _failure(NotFound("no such path"))
        except web.HTTPException as error:
            response = _failure(InvalidRequest(error.reason or "bad request", status=error.status))
        except Exception:
            log.exception("admin request failed", extra={"path": request.path})
            response = _failure(GatewayError("internal error"))
        response.headers["cache-control"] = "no-store"
        response.headers["x-content-type-options"] = "nosniff"
        return response

    return edge


def _failure(error: GatewayError) -> web.Response:
    shape = {"message": error.message, "type": error.type, "param": error.param, "code": error.error_code}
    response = _json({"error": shape}, error.http_status)
    if isinstance(error, Unauthenticated):
        response.headers["www-authenticate"] = 'Bearer realm="admin"'
    return response


def _json(document: Document, status: int = 200) -> web.Response:
    return web.Response(body=json.encode(document), status=status, content_type="application/json")


def _host_name(host: str) -> str:
    """The name in a Host header, without port and brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]

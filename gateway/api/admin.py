"""The admin surface, served by the control process: metrics, health, configuration, reload.

Two doors. The TCP listener checks `Host` and `Origin` (a page in the operator's browser must not reach it by DNS
rebinding) and asks for the admin key, but on `OPEN_PATHS`. The Unix socket for the local command line needs neither:
only the user who runs the gateway may connect to it. Fails closed.
"""

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aiohttp import web
from msgspec import json

from gateway.api.connection import ClientServer
from gateway.api.render import error_response
from gateway.config.spec import Listen
from gateway.core.errors import Forbidden, GatewayError, InvalidRequest, MethodNotAllowed, NotFound, Unauthenticated
from gateway.core.secret import Secret
from gateway.observability.exposition import CONTENT_TYPE

OPEN_PATHS: Final = frozenset({"/metrics", "/health", "/ready"})

Document = Mapping[str, Any]
Handler = Callable[[], Awaitable[web.Response]]


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

    def check(self, request: web.BaseRequest) -> None:
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

    def _is_authorized(self, request: web.BaseRequest) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        expected = self.key.value.encode()
        return scheme.lower() == "bearer" and hmac.compare_digest(
            given.strip().encode(errors="surrogateescape"), expected
        )


class Admin:
    """Handles every request at one door; `guard` None: whoever can connect may do everything."""

    def __init__(self, control: Control, guard: Guard | None) -> None:
        self._control = control
        self._guard = guard
        self._paths: dict[str, tuple[str, Handler]] = {
            "/metrics": ("GET", self._metrics),
            "/health": ("GET", self._health),
            "/ready": ("GET", self._ready),
            "/admin/config": ("GET", self._configuration),
            "/admin/reload": ("POST", self._reload),
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request."""
        try:
            if self._guard is not None:
                self._guard.check(request)
            response = await self._find(request)()
        except GatewayError as error:
            response = error_response(error)
        response.headers["cache-control"] = "no-store"
        response.headers["x-content-type-options"] = "nosniff"
        return response

    def _find(self, request: web.BaseRequest) -> Handler:
        if request.path not in self._paths:
            raise NotFound("there is nothing at this path")
        method, handler = self._paths[request.path]
        allowed = ("GET", "HEAD") if method == "GET" else (method,)
        if request.method not in allowed:
            names = ", ".join(allowed)
            raise MethodNotAllowed(f"this path takes {names}", param=names)
        return handler

    async def _metrics(self) -> web.Response:
        return web.Response(body=await self._control.metrics(), headers={"content-type": CONTENT_TYPE})

    async def _health(self) -> web.Response:
        return _json(await self._control.health())

    async def _ready(self) -> web.Response:
        is_ready, document = self._control.ready()
        return _json(document, 200 if is_ready else 503)

    async def _configuration(self) -> web.Response:
        return _json(self._control.configuration())

    async def _reload(self) -> web.Response:
        outcome = await self._control.reload()
        return _json(outcome, 200 if outcome["ok"] else 422)


def make_admin_runner(control: Control, guard: Guard | None) -> web.ServerRunner:
    """Give the server of one door, to be set up and given its sites."""
    server = ClientServer(Admin(control, guard).handle, access_log=None)
    return web.ServerRunner(server, shutdown_timeout=1.0)


def _json(document: Document, status: int = 200) -> web.Response:
    return web.Response(body=json.encode(document), status=status, content_type="application/json")


def _host_name(host: str) -> str:
    """Give the name in a Host header, without port and brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]

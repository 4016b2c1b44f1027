"""The admin API, served by the control process: metrics, health, configuration, reload, endpoints.

It has two listeners. The TCP listener checks `Host` and `Origin` (a page in the operator's browser must not reach it by
DNS rebinding) and requires the admin key, except on `OPEN_PATHS`. The Unix socket for the local command line checks
neither: only the user who runs the gateway can connect to it. Fails closed.
"""

import asyncio
import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aiohttp import web
from aiohttp.web_protocol import RequestPayloadError
from msgspec import DecodeError, Struct, json

from gateway.api.connection import ClientServer
from gateway.api.render import error_response
from gateway.config.spec import Listen
from gateway.core.errors import (
    Forbidden,
    GatewayError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    RequestTimeout,
    RequestTooLarge,
    Unauthenticated,
)
from gateway.core.secret import Secret
from gateway.observability.exposition import CONTENT_TYPE

OPEN_PATHS: Final = frozenset({"/metrics", "/health", "/ready"})
BODY_LIMIT_BYTES: Final = 64 * 2**10  # bytes
BODY_TIMEOUT_S: Final = 5.0

Document = Mapping[str, Any]
Handler = Callable[[web.BaseRequest], Awaitable[web.Response]]


class EndpointCommand(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a command: the name of an endpoint, or of a provider for all its endpoints."""

    endpoint: str


class Control(Protocol):
    """The operations behind the admin API. Documents are plain JSON values without secrets."""

    async def metrics(self) -> bytes:
        """Return the metrics of all processes in Prometheus' text format."""

    async def health(self) -> Document:
        """Return the health, and the state of every breaker."""

    def ready(self) -> tuple[bool, Document]:
        """Return whether requests are accepted, and which servers still start."""

    def configuration(self) -> Document:
        """Return the active configuration, and the outcome of the last reload."""

    async def reload(self) -> Document:
        """Reload the configuration; return the outcome, with `ok`."""

    async def endpoints(self) -> Document:
        """Return the state of every endpoint and pool."""

    async def drain(self, name: str) -> Document:
        """Stop sending new requests to an endpoint; return the endpoints concerned. Raises NotFound."""

    async def enable(self, name: str) -> Document:
        """Undo `drain`, and everything except a breaker that keeps the endpoint out of rotation. Raises NotFound."""


@dataclass(frozen=True, slots=True)
class AccessCheck:
    """The checks of the TCP listener: Host, Origin and the admin key."""

    key: Secret
    listen: Listen

    def check(self, request: web.BaseRequest) -> None:
        """Raise a `CallerError` if the request is not allowed."""
        is_open = request.path in OPEN_PATHS
        if len(request.headers.getall("Host", [])) > 1:
            raise InvalidRequest("the request has more than one Host header")
        # A listener beyond loopback is reached by names that are unknown here (a scraper's service name). Paths without
        # a key are open to that network anyway.
        if not self._is_own_host(request.headers.get("Host", "")) and (self.listen.is_local or not is_open):
            raise Forbidden("the Host header does not name the admin listener", code="unknown_host")
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("Host"):
            raise Forbidden("requests from other origins are not allowed", code="foreign_origin")
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
        # DNS rebinding needs a name, so any address is safe; on a loopback listener only loopback addresses make sense.
        return address.is_loopback or not self.listen.is_local

    def _is_authorized(self, request: web.BaseRequest) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        expected = self.key.value.encode()
        return scheme.lower() == "bearer" and hmac.compare_digest(
            given.strip().encode(errors="surrogateescape"), expected
        )


class AdminHandler:
    """Handles every request of one listener. Without an `access_check`, every client that can connect is authorized."""

    def __init__(self, control: Control, access_check: AccessCheck | None) -> None:
        self._control = control
        self._access_check = access_check
        self._paths: dict[str, tuple[str, Handler]] = {
            "/metrics": ("GET", self._metrics),
            "/health": ("GET", self._health),
            "/ready": ("GET", self._ready),
            "/admin/config": ("GET", self._configuration),
            "/admin/reload": ("POST", self._reload),
            "/admin/endpoints": ("GET", self._endpoints),
            "/admin/endpoints/drain": ("POST", self._drain),
            "/admin/endpoints/enable": ("POST", self._enable),
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request; a `GatewayError` becomes an error response."""
        try:
            if self._access_check is not None:
                self._access_check.check(request)
            response = await self._find(request)(request)
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
            raise MethodNotAllowed(f"this path takes {names}", allow=names)
        return handler

    async def _metrics(self, request: web.BaseRequest) -> web.Response:
        return web.Response(body=await self._control.metrics(), headers={"content-type": CONTENT_TYPE})

    async def _health(self, request: web.BaseRequest) -> web.Response:
        return _json(await self._control.health())

    async def _ready(self, request: web.BaseRequest) -> web.Response:
        is_ready, document = self._control.ready()
        return _json(document, 200 if is_ready else 503)

    async def _configuration(self, request: web.BaseRequest) -> web.Response:
        return _json(self._control.configuration())

    async def _reload(self, request: web.BaseRequest) -> web.Response:
        outcome = await self._control.reload()
        return _json(outcome, 200 if outcome["ok"] else 422)

    async def _endpoints(self, request: web.BaseRequest) -> web.Response:
        return _json(await self._control.endpoints())

    async def _drain(self, request: web.BaseRequest) -> web.Response:
        return _json(await self._control.drain(await _read_endpoint_name(request)))

    async def _enable(self, request: web.BaseRequest) -> web.Response:
        return _json(await self._control.enable(await _read_endpoint_name(request)))


def make_admin_runner(control: Control, access_check: AccessCheck | None) -> web.ServerRunner:
    """Return the server of one listener; the caller sets it up and adds its sites."""
    server = ClientServer(AdminHandler(control, access_check).handle, access_log=None)
    return web.ServerRunner(server, shutdown_timeout=1.0)


async def _read_endpoint_name(request: web.BaseRequest) -> str:
    """Return the name in the body of a command. Raises `CallerError`."""
    try:
        return json.decode(await _read_body(request), type=EndpointCommand).endpoint
    except (DecodeError, UnicodeDecodeError):
        raise InvalidRequest('the body must be JSON: {"endpoint": "NAME"}', param="endpoint") from None


async def _read_body(request: web.BaseRequest) -> bytes:
    body = b""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while part := await request.content.readany():
                body += part
                if len(body) > BODY_LIMIT_BYTES:
                    raise RequestTooLarge(f"the body is larger than {BODY_LIMIT_BYTES} bytes")
    except RequestPayloadError:
        raise InvalidRequest("the body is not framed as HTTP demands", code="invalid_http") from None
    except TimeoutError:
        raise RequestTimeout("the body took too long to arrive") from None
    return body


def _json(document: Document, status: int = 200) -> web.Response:
    return web.Response(body=json.encode(document), status=status, content_type="application/json")


def _host_name(host: str) -> str:
    """Return the host name in a Host header, without port and brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]

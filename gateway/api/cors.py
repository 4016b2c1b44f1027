"""Cross-origin requests (CORS): browsers let pages of the configured origins use the gateway. Imported only if configured.

aiohttp-cors answers preflights and adds headers to the responses that aiohttp sends; it requires an `Application`, which
wraps the public handler here. Response heads that the gateway writes itself get the same headers from `header_lines`.
`Vary: Origin`, which aiohttp-cors lacks, keeps a cache from returning one origin's response to another. Credentials
(cookies) are not used: keys come in headers, which a page must set itself. So `*` may stand for all headers (Fetch
standard, 3.3.5).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Final

import aiohttp_cors
from aiohttp import web

from gateway.api.render import SERVER, error_response
from gateway.api.request_id import RequestIds
from gateway.core.errors import Forbidden, InvalidRequest

METHODS: Final = ("GET", "HEAD", "POST")
MAX_AGE_S: Final = 600  # how long a browser caches a preflight
VARY: Final = "vary: Origin\r\n"
REFLECTED_HEADERS: Final = ("Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers")

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Cors:
    """The CORS policy for these origins; `*` stands for any origin."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origins)
        self._ids = RequestIds()

    def header_lines(self, headers: Mapping[str, str]) -> str:
        """Return the CORS header lines of a response to a request with these headers, for heads that aiohttp does not write."""
        origin = headers.get("Origin")
        if origin is None or not self._origins & {origin, "*"}:
            return VARY
        return f"{VARY}access-control-allow-origin: {origin}\r\naccess-control-expose-headers: *\r\n"

    def wrap(self, handle: Handler) -> Handler:
        """Wrap `handle`: answer preflights before it, and add CORS headers to its aiohttp responses."""
        app = self._application(handle)

        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            is_preflight = _is_preflight(request)
            if not request.path.startswith("/") or not (is_preflight or request.method in METHODS):
                return await handle(request)
            if not all(_is_printable(request.headers.get(name, "")) for name in REFLECTED_HEADERS):
                error = InvalidRequest("Origin and Access-Control-… must be printable ASCII", code="invalid_http")
                return error_response(error, self._ids.of(request.headers))
            assert isinstance(request, web.Request)  # created by `request_factory`
            try:
                return await app._handle(request)
            except web.HTTPForbidden:  # of a preflight
                refusal = Forbidden("pages of this origin may not send this request", code="foreign_origin")
                return error_response(refusal, self._ids.of(request.headers))

        return serve

    def request_factory(self) -> Callable[..., web.Request]:
        """Return a factory of requests that an `Application` accepts. Needs a running loop."""
        return partial(web.Request, loop=asyncio.get_running_loop())

    def _application(self, handle: Handler) -> web.Application:
        app = web.Application()
        allowed = {"expose_headers": ("*",), "allow_headers": "*", "max_age": MAX_AGE_S}
        origins = dict.fromkeys(self._origins, allowed)
        cors = aiohttp_cors.setup(app)
        resource = cors.add(app.router.add_resource("/{path:.*}"))
        for method in METHODS:
            cors.add(resource.add_route(method, handle, expect_handler=_defer_continue), origins)
        app.on_response_prepare.append(_add_headers)
        app.freeze()
        return app


async def _defer_continue(request: web.Request) -> None:
    """Send no 100-continue here: the request path sends it after it has checked the key."""


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["vary"] = "Origin"
    response.headers["server"] = SERVER  # otherwise aiohttp reveals its version in preflight responses


def _is_preflight(request: web.BaseRequest) -> bool:
    headers = request.headers
    is_complete = "Origin" in headers and "Access-Control-Request-Method" in headers
    return request.method == "OPTIONS" and is_complete and "Expect" not in headers


def _is_printable(value: str) -> bool:
    return value.isascii() and value.isprintable()

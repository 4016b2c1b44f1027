"""Cross-origin requests: pages of the configured origins may ask from a browser. Loaded only where there are any.

aiohttp-cors answers preflights and marks the responses that aiohttp sends; it wants an `Application`, which stands around
the public handler here. Heads that the gateway writes itself get the same from `lines`. `Vary: Origin`, which aiohttp-cors
lacks, keeps a cache between from giving one origin's answer to another. There are no credentials (cookies): keys come in
headers, which a page must set itself. So `*` may stand for all headers (Fetch standard, 3.3.5).
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
MAX_AGE_S: Final = 600  # how long a browser need not ask again
VARY: Final = "vary: Origin\r\n"
REFLECTED: Final = ("Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers")

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Cors:
    """What pages of these origins may do; `*` among them: of any."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origins)
        self._ids = RequestIds()

    def lines(self, headers: Mapping[str, str]) -> str:
        """Give what the head of an answer to these headers says of origins, for heads that aiohttp does not write."""
        origin = headers.get("Origin")
        if origin is None or not self._origins & {origin, "*"}:
            return VARY
        return f"{VARY}access-control-allow-origin: {origin}\r\naccess-control-expose-headers: *\r\n"

    def around(self, handle: Handler) -> Handler:
        """Give `handle` with preflights answered before it, and its aiohttp responses marked."""
        app = self._application(handle)

        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            is_preflight = _is_preflight(request)
            if not request.path.startswith("/") or not (is_preflight or request.method in METHODS):
                return await handle(request)
            if not all(_is_printable(request.headers.get(name, "")) for name in REFLECTED):
                error = InvalidRequest("Origin and Access-Control-… must be printable ASCII", code="invalid_http")
                return error_response(error, self._ids.of(request.headers))
            assert isinstance(request, web.Request)  # made by `request_factory`
            try:
                return await app._handle(request)
            except web.HTTPForbidden:  # of a preflight
                refusal = Forbidden("pages of this origin may not ask so", code="foreign_origin")
                return error_response(refusal, self._ids.of(request.headers))

        return serve

    def request_factory(self) -> Callable[..., web.Request]:
        """Give what makes requests of the kind that an `Application` takes. On the loop only."""
        return partial(web.Request, loop=asyncio.get_running_loop())

    def _application(self, handle: Handler) -> web.Application:
        app = web.Application()
        allowed = {"expose_headers": ("*",), "allow_headers": "*", "max_age": MAX_AGE_S}
        origins = dict.fromkeys(self._origins, allowed)
        cors = aiohttp_cors.setup(app)
        resource = cors.add(app.router.add_resource("/{path:.*}"))
        for method in METHODS:
            cors.add(resource.add_route(method, handle, expect_handler=_invite_nobody), origins)
        app.on_response_prepare.append(_mark)
        app.freeze()
        return app


async def _invite_nobody(request: web.Request) -> None:
    """Leave a body that waits for 100-continue to the request path, which looks at the key first."""


async def _mark(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["vary"] = "Origin"
    response.headers["server"] = SERVER  # aiohttp would name its version in a preflight's answer


def _is_preflight(request: web.BaseRequest) -> bool:
    headers = request.headers
    is_whole = "Origin" in headers and "Access-Control-Request-Method" in headers
    return request.method == "OPTIONS" and is_whole and "Expect" not in headers


def _is_printable(value: str) -> bool:
    return value.isascii() and value.isprintable()

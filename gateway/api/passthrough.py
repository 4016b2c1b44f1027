"""The client's side of a request that is passed through: its body as it comes, its answer as it comes."""

import asyncio
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote_plus

from aiohttp import web
from aiohttp.web_protocol import RequestPayloadError

from gateway.api.client_side import ClientSide, is_plain_body
from gateway.api.render import error_headers
from gateway.api.request_checks import query_of
from gateway.core.chat import ChatRequest
from gateway.core.errors import (
    ClientStalled,
    GatewayError,
    InvalidRequest,
    NoCapacity,
    RequestTimeout,
    RequestTooLarge,
    UnsupportedMedia,
)
from gateway.core.exchange import Exchange
from gateway.core.response import Response
from gateway.core.secret import REDACTABLE_LENGTH
from gateway.dialects.base import Dialect
from gateway.lifecycle import RequestKind
from gateway.pools.route_plan import RoutePlan
from gateway.providers.header_policy import TO_CLIENT_PASS_THROUGH
from gateway.providers.rate_limits import limit_lines
from gateway.snapshot import Services, Snapshot
from gateway.streaming.upload import LAST_CHUNK, Upload
from gateway.upstream.dispatcher import dispatch
from gateway.upstream.passthrough import PassthroughCall

if TYPE_CHECKING:
    from gateway.config.spec import ServerLimitsSpec

SMALL: Final = 64 * 2**10  # bytes of a body that is taken whole, so that it can go out on a connection that is kept
BODILESS: Final = frozenset({204, 205, 304})  # statuses
KEYS: Final = frozenset({"api_key", "api-key", "apikey", "x-api-key", "key", "token", "access_token", "authorization"})
"""Names of a query's members that hold credentials: a client's stays here, and the provider's is in the configuration."""


class PassthroughClient(ClientSide):
    """A client's side of a request that is passed through: its body as it comes, its response as it comes."""

    def __init__(
        self,
        request: web.BaseRequest,
        exchange: Exchange,
        dialect: Dialect,
        limits: "ServerLimitsSpec",
        services: Services,
    ) -> None:
        super().__init__(request, exchange, dialect, limits, services)
        self.method = request.method
        self._upload: Upload | None = None
        self._has_invited = False
        self._frames = False  # the response goes out in chunks

    def target(self) -> str:
        """Return the path and query for the provider. Raises `InvalidRequest`."""
        query = query_of(self._request.raw_path)
        self._refuse_keys(query)
        if not query:
            return self._exchange.path
        if not query.isascii() or not query.isprintable() or " " in query or "#" in query:
            raise InvalidRequest("the query must be printable ASCII")
        for name, _ in parse_qsl(query, keep_blank_values=True):
            if name.lower() in KEYS:
                raise InvalidRequest("the query must hold no key; send it as a header", param=name[:64])
        return f"{self._exchange.path}?{query}"

    async def body(self) -> bytes | Upload:
        """Return the body: whole where it is small, else to be sent as it comes. Raises `CallerError`."""
        if not self._request.body_exists:
            return b""
        if "content-encoding" in self._request.headers and not is_plain_body(self._request):
            raise UnsupportedMedia("compressed bodies are not taken")
        length, limit = self._request.content_length, self._limits.upload
        if length is not None and length > limit:
            raise RequestTooLarge(f"the body is larger than {limit} bytes")
        if length is None or length > SMALL:
            self._upload = Upload(self._piece, self._services.tasks, length)
            return self._upload
        self._invite()
        body = await self._read_body(SMALL)
        self._exchange.meter.bytes_in = len(body)
        return body

    # lifecycle.Client

    async def relay(self, response: Response) -> None:
        self.leave_body()
        status, length = response.status, response.header(b"content-length")
        has_body = not self._is_head and status not in BODILESS
        framing = f"content-length: {length}\r\n" if length and status not in BODILESS else ""
        if has_body and not length and self._is_chunked:
            framing, self._frames = "transfer-encoding: chunked\r\n", True
        self._commit(status, framing + self._forwarded(response) + self._gateway_headers())
        if not has_body:
            return
        assert response.source is not None
        try:
            await response.source.pump(self, None, response.taps)
        finally:
            self._connection.on_drain = None
        if self._frames:
            self._write(LAST_CHUNK)

    def fail(self, error: GatewayError) -> None:
        if self._exchange.timeline.committed_at or isinstance(error, ClientStalled):
            self.leave()
            self._abort()  # the response has begun: cut short, it can't be taken for whole
        elif (refusal := error.response) is not None and refusal.body:
            self.leave()
            self.leave_body()
            lines = self._forwarded(refusal) + f"content-length: {len(refusal.body)}\r\n"
            lines += "".join(f"{name}: {value}\r\n" for name, value in error_headers(error).items())
            self._commit(refusal.status, lines + self._gateway_headers(), refusal.body)
        else:
            super().fail(error)

    def leave(self) -> None:
        super().leave()
        if self._upload is not None:
            self._upload.stop()

    # core.response.ClientWriter

    def write(self, data: bytes) -> bool:
        self._exchange.meter.bytes_out += len(data)
        self._write(b"%x\r\n%b\r\n" % (len(data), data) if self._frames else data)
        return not self._connection.writing_paused

    async def drained(self) -> None:
        if self._upload is not None:  # the connection reads and drops what is left of the body
            self._upload.stop()
            await self._upload.ended()
        await super().drained()

    # The request's body

    async def _piece(self) -> bytes:
        """Return the next piece of the body, b"" at its end."""
        self._invite()
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                piece = await self._request.content.readany()
        except RequestPayloadError:
            self.response.keep_alive = False
            raise InvalidRequest("the body is not framed as HTTP demands", code="invalid_http") from None
        except TimeoutError:
            raise RequestTimeout("the next piece of the body took too long to arrive") from None
        except ConnectionError:
            raise asyncio.CancelledError from None  # the client left; its request is being cancelled too
        meter = self._exchange.meter
        meter.bytes_in += len(piece)
        if meter.bytes_in > self._limits.upload:
            raise RequestTooLarge(f"the body is larger than {self._limits.upload} bytes")
        return piece

    def _invite(self) -> None:
        if not self._has_invited:
            self._has_invited = True
            super()._invite()

    def _refuse_keys(self, query: str) -> None:
        """Refuse a target that holds a credential of the client; the path is logged without it."""
        path, names = self._exchange.path, unquote_plus(query)
        values = [value for pair in parse_qsl(query, keep_blank_values=True) for value in pair]
        for key in self._credentials():
            is_distinct = len(key) >= REDACTABLE_LENGTH
            if is_distinct and key in path:
                self._exchange.path = path.replace(key, "…")
                raise InvalidRequest("the path must hold no key; send it as a header")
            if key in values or (is_distinct and key in names):
                raise InvalidRequest("the query must hold no key; send it as a header")

    def _credentials(self) -> list[str]:
        """Return the credentials that the client sent to the gateway."""
        headers = self._request.headers
        return [headers[name].split()[-1] for name in ("authorization", "x-api-key") if headers.get(name, "").strip()]

    # The response

    def _forwarded(self, response: Response) -> str:
        lines = ""
        for name in TO_CLIENT_PASS_THROUGH:
            if name in response.headers and (value := response.header(name)):
                lines += f"{name.decode()}: {value}\r\n"
        return lines + limit_lines(response.headers, self._dialect.VENDOR, self._clock.wall)

    def _gateway_headers(self) -> str:
        """Return the header lines that say which way the request went; there is no model in it, and no cache."""
        exchange = self._exchange
        overhead_ms = exchange.timeline.overhead_s * 1000
        lines = f"x-gateway-config: {exchange.generation}\r\nx-gateway-overhead-ms: {overhead_ms:.2f}\r\n"
        if exchange.decision.route:
            lines += f"x-gateway-route: {exchange.decision.route}\r\n"
        if exchange.attempts:
            lines += f"x-gateway-pool: {exchange.pool}\r\nx-gateway-attempts: {len(exchange.attempts)}\r\n"
        return lines


class Passthrough:
    """The kind of request that is passed through unread: uploads, downloads, whatever a route with `paths` names."""

    async def read(self, client: PassthroughClient) -> ChatRequest:
        """Return a request of which only the path is known: its body is read as it is sent."""
        return ChatRequest(raw=b"", path=client.path, model="")

    def match(self, exchange: Exchange, snapshot: Snapshot, wall_s: float) -> RoutePlan:
        route = snapshot.router.match_path(exchange.method, exchange.path, exchange.headers, exchange.principal, wall_s)
        return snapshot.passthrough_plans[route]

    async def obtain(
        self, exchange: Exchange, plan: RoutePlan, snapshot: Snapshot, services: Services, client: PassthroughClient
    ) -> AbstractContextManager[Response]:
        if not plan.stages:
            raise NoCapacity("the provider of this route is off")
        call = PassthroughCall(client.method, client.target(), await client.body(), snapshot.spec.models)
        return await dispatch(exchange, plan, snapshot, services, call)


PASSTHROUGH: Final[RequestKind[PassthroughClient]] = Passthrough()

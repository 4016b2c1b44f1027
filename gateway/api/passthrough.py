"""The client's side of a request that is passed through: its body as it comes, its answer as it comes."""

import asyncio
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote_plus

from aiohttp import web
from aiohttp.web_protocol import RequestPayloadError

from gateway.api.chat import attend
from gateway.api.http_client import FORWARDED, HttpClient, is_plain_body
from gateway.api.render import error_headers
from gateway.api.request_checks import query_of
from gateway.api.request_id import RequestIds
from gateway.core.clock import Clock
from gateway.core.errors import (
    ClientStalled,
    GatewayError,
    InvalidRequest,
    RequestTimeout,
    RequestTooLarge,
    UnsupportedMedia,
)
from gateway.core.exchange import Exchange
from gateway.dialects import spoken_at
from gateway.dialects.rate_limits import limit_lines
from gateway.providers.transport import UpstreamResponse
from gateway.snapshot import Services
from gateway.streaming.download import Download
from gateway.streaming.upload import LAST_CHUNK, Upload
from gateway.upstream import passthrough as pass_through

if TYPE_CHECKING:
    from gateway.api.cors import Cors
    from gateway.config.spec import LimitsSpec
    from gateway.core.tasks import Tasks

SMALL: Final = 64 * 2**10  # bytes of a body that is taken whole, so that it can go out on a connection that is kept
HANDED_ON: Final = (
    b"content-type",
    b"content-disposition",
    b"content-range",
    b"content-encoding",
    b"content-language",
    b"accept-ranges",
    b"etag",
    b"last-modified",
    b"cache-control",
    *FORWARDED,
)
"""What crosses of a provider's headers, beside the length of its answer."""

BODILESS: Final = frozenset({204, 205, 304})  # statuses
TELLING: Final = 12  # characters of a key that don't stand in another word by chance
KEYS: Final = frozenset({"api_key", "api-key", "apikey", "x-api-key", "key", "token", "access_token", "authorization"})
"""Names of a query's members that hold credentials: a client's stays here, and the provider's is in the configuration."""


class PassThrough:
    """Serves every path that a route passes through."""

    def __init__(self, services: Services, ids: RequestIds, cors: "Cors | None" = None) -> None:
        self._services = services
        self._ids = ids
        self._cors = cors

    async def serve(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """Serve a request; what is returned has been sent already."""
        services = self._services
        snapshot = services.snapshot
        headers = request.headers
        exchange = Exchange(self._ids.of(headers), services.clock.monotonic(), snapshot.generation, path, headers)
        client = PassingClient(request, exchange, snapshot.spec.server.limits, services.clock, services.tasks)
        if self._cors is not None:
            client.cors = self._cors.header_lines(headers)
        return await attend(exchange, services, client, pass_through.serve(exchange, snapshot, services, client))


class PassingClient(HttpClient):
    """One such request on a client's connection; see `pass_through.Client` and `relay.Reply`, which it is."""

    def __init__(
        self, request: web.BaseRequest, exchange: Exchange, limits: "LimitsSpec", clock: Clock, tasks: "Tasks"
    ) -> None:
        super().__init__(request, exchange, spoken_at(exchange.path, exchange.headers), limits, clock)
        self.method = request.method
        self._tasks = tasks
        self._upload: Upload | None = None
        self._has_invited = False
        self._frames = False  # the answer goes out in chunks

    # pass_through.Client

    def target(self) -> str:
        query = query_of(self._request.raw_path)
        self._keep_keys(query)
        if not query:
            return self._exchange.path
        if not query.isascii() or not query.isprintable() or " " in query or "#" in query:
            raise InvalidRequest("the query must be printable ASCII")
        for name, _ in parse_qsl(query, keep_blank_values=True):
            if name.lower() in KEYS:
                raise InvalidRequest("the query must hold no key; send it as a header", param=name[:64])
        return f"{self._exchange.path}?{query}"

    async def body(self) -> bytes | Upload:
        if not self._request.body_exists:
            return b""
        if "content-encoding" in self._request.headers and not is_plain_body(self._request):
            raise UnsupportedMedia("compressed bodies are not taken")
        length, limit = self._request.content_length, self._limits.upload
        if length is not None and length > limit:
            raise RequestTooLarge(f"the body is larger than {limit} bytes")
        if length is None or length > SMALL:
            self._upload = Upload(self._piece, self._tasks, length)
            return self._upload
        self._invite()
        body = await self._read_body(SMALL)
        self._exchange.meter.bytes_in = len(body)
        return body

    async def hand_on(self, answer: UpstreamResponse, download: Download) -> None:
        status, length = answer.status, answer.header(b"content-length")
        if not self._request.content.is_eof():
            self.response.keep_alive = False  # behind a body that was not read no next request can be found
        has_body = self.method != "HEAD" and status not in BODILESS
        framing = f"content-length: {length}\r\n" if length and status not in BODILESS else ""
        if has_body and not length and self._is_chunked:
            framing, self._frames = "transfer-encoding: chunked\r\n", True
        self._commit(status, framing + self._handed_on(answer) + self._gateway_headers())
        if not has_body:
            return
        try:
            await download.pump(self)
        finally:
            self._connection.on_drain = None
        if self._frames:
            self._write(LAST_CHUNK)

    def refuse(self, error: GatewayError, answer: UpstreamResponse, body: bytes) -> None:
        if not body or self._exchange.committed_at:
            self.fail(error)
            return
        self.leave()
        if not self._request.content.is_eof():
            self.response.keep_alive = False
        lines = self._handed_on(answer) + f"content-length: {len(body)}\r\n"
        lines += "".join(f"{name}: {value}\r\n" for name, value in error_headers(error).items())
        self._commit(answer.status, lines + self._gateway_headers(), body)

    def fail(self, error: GatewayError) -> None:
        if self._exchange.committed_at or isinstance(error, ClientStalled):
            self.leave()
            self._abort()  # what has begun can't be taken back; cut short, it can't be taken for whole
        else:
            super().fail(error)

    # relay.Reply

    def write(self, data: bytes) -> bool:
        self._exchange.meter.bytes_out += len(data)
        self._write(b"%x\r\n%b\r\n" % (len(data), data) if self._frames else data)
        return not self._connection.writing_paused

    async def drained(self) -> None:
        if self._upload is not None:  # what is left of its body is the connection's to read, and to drop
            await self._upload.ended()
        await super().drained()

    # The request's body

    async def _piece(self) -> bytes:
        """Give the next piece of the body, b"" at its end."""
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

    def _keep_keys(self, query: str) -> None:
        """Refuse a target that holds what the client showed to the gateway; its path is written down without it."""
        path, names = self._exchange.path, unquote_plus(query)
        values = [value for pair in parse_qsl(query, keep_blank_values=True) for value in pair]
        for key in self._credentials():
            is_telling = len(key) >= TELLING
            if is_telling and key in path:
                self._exchange.path = path.replace(key, "…")
                raise InvalidRequest("the path must hold no key; send it as a header")
            if key in values or (is_telling and key in names):
                raise InvalidRequest("the query must hold no key; send it as a header")

    def _credentials(self) -> list[str]:
        """Give what the client showed to the gateway."""
        headers = self._request.headers
        return [headers[name].split()[-1] for name in ("authorization", "x-api-key") if headers.get(name, "").strip()]

    # The answer

    def _commit(self, status: int, lines: str, body: bytes = b"") -> None:
        super()._commit(status, lines, b"" if self.method == "HEAD" else body)

    def _handed_on(self, answer: UpstreamResponse) -> str:
        lines = ""
        for name in HANDED_ON:
            if name in answer.headers and (value := answer.header(name)):
                lines += f"{name.decode()}: {value}\r\n"
        return lines + limit_lines(answer.headers, self._dialect.VENDOR, self._clock.wall)

    def _gateway_headers(self) -> str:
        """Say which way the request went; there is no model in it, and no cache."""
        exchange = self._exchange
        overhead_ms = (self._clock.monotonic() - exchange.received_at - exchange.waited_s) * 1000
        lines = f"x-gateway-config: {exchange.generation}\r\nx-gateway-overhead-ms: {overhead_ms:.2f}\r\n"
        if exchange.route:
            lines += f"x-gateway-route: {exchange.route}\r\n"
        if exchange.attempts:
            lines += f"x-gateway-pool: {exchange.pool}\r\nx-gateway-attempts: {len(exchange.attempts)}\r\n"
        return lines

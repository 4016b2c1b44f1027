"""One request as one endpoint gets it: what is sent, how the response is read, and what its status means."""

from collections.abc import Awaitable
from typing import Final

from gateway.config.spec import ServerLimitsSpec
from gateway.core.chat import ChatRequest
from gateway.core.errors import GatewayError, InvalidRequest, ProtocolError, Rejected, Untranslatable
from gateway.core.exchange import Exchange
from gateway.core.response import Response
from gateway.core.usage import Usage
from gateway.dialects import BATCHED
from gateway.pools.batches import TOKENS_LIMIT
from gateway.pools.target import Target
from gateway.providers.header_policy import FROM_CLIENT_DIALECT, client_value, second_via
from gateway.providers.transport import UpstreamResponse, WireRequest
from gateway.snapshot import Services
from gateway.streaming.relay import Document, EventStream
from gateway.upstream.attempt import record_resend
from gateway.upstream.batching import send_in_batch

RESEND_WITHIN_S: Final = 1.0
"""How long after sending it a kept connection may close for chat or embeddings to be sent once more.

Twice is harmless for them: nothing is stored, and what a provider did within a second costs little. A provider that took longer
may have been broken by this very request."""

FAULT_LIMIT: Final = 256 * 2**10  # bytes of an error's body that are worth passing on


class DialectCall:
    """Sends requests that the gateway reads: translated where the endpoint speaks another dialect than the client."""

    def send(
        self, exchange: Exchange, target: Target, limits: ServerLimitsSpec, services: Services, total_at: float | None
    ) -> Awaitable[Response]:
        """Send the request to one endpoint; return once a stream has its first content, or a body is complete.

        Raises `UpstreamError`; then nothing is left open.
        """
        request = exchange.request
        assert request is not None
        upstream = UpstreamRequest(exchange, target, limits, services)
        if target.batch is not None and (batching := BATCHED.get(exchange.path)) is not None:
            inputs = batching.count_inputs(request)
            is_small = inputs < target.batch.max and request.tokens <= TOKENS_LIMIT
            if is_small and "idempotency-key" not in exchange.headers:
                return send_in_batch(upstream, request, batching, inputs, total_at)
        return upstream.send(request, total_at)


DIALECT_CALL: Final = DialectCall()


class UpstreamRequest:
    """One request for one endpoint. `model_id`: the endpoint's name for the model."""

    __slots__ = ("_record", "binding", "exchange", "limits", "model_id", "services", "target")

    def __init__(self, exchange: Exchange, target: Target, limits: ServerLimitsSpec, services: Services) -> None:
        assert exchange.request is not None
        self._record = exchange.attempt  # now: a hedge may begin another attempt later
        self.exchange = exchange
        self.target = target
        self.limits = limits
        self.services = services
        self.binding = target.bindings[exchange.path]
        self.model_id = target.provider.model_id(target.model, exchange.request.model)

    async def send(self, request: ChatRequest, total_at: float | None) -> Response:
        """Send the request alone. Raises `UpstreamError`."""
        upstream = await self.begin(self.body(request), self.head(), total_at, is_stream=request.stream)
        try:
            if request.stream:
                return await self._stream_of(upstream, request)
            body, usage = self.read_answer(await self.read(upstream), request)
            return Response(upstream.status, upstream.headers, body, None, usage)
        except BaseException:
            upstream.close()
            raise

    async def _stream_of(self, upstream: UpstreamResponse, request: ChatRequest) -> Response:
        if upstream.content_type != b"text/event-stream":
            raise ProtocolError("the provider's answer is not an event stream")
        codec = self.binding.bridge.read_stream(self.exchange.meter, request, self.services.clock.wall())
        stream = EventStream(upstream, codec, self.limits.event, self.target.provider.redact)
        upstream.attach(stream)
        await stream.until_content()
        return Response(upstream.status, upstream.headers, source=stream)

    def body(self, request: ChatRequest) -> bytes:
        """Return the request's body in the endpoint's dialect. Raises `Untranslatable`."""
        target = self.target
        try:
            return self.binding.bridge.encode_request(
                request,
                self.model_id,
                drops_params=target.drops_params,
                default_max_tokens=target.model.max_output,
            )
        except InvalidRequest as error:
            raise Untranslatable(error.message, code=error.error_code, param=error.param) from None

    async def begin(self, body: bytes, head: str, total_at: float | None, *, is_stream: bool) -> UpstreamResponse:
        """Send a body, with the header lines `head` beside the constant ones, and wait for the head of a 200.

        Any other status raises the `UpstreamError` that it means.
        """
        target, services = self.target, self.services
        own = f"content-length: {len(body)}\r\n{head}\r\n"
        upstream = await services.transport.send(
            WireRequest(
                origin=target.provider.origin,
                head=self.binding.request_head + own.encode("utf-8", "surrogateescape"),
                body=body,
                timeouts=target.timeouts,
                is_stream=is_stream,
                total_at=total_at,
                write_timeout_s=self.limits.write_timeout_s,
                resend_within_s=RESEND_WITHIN_S,
                on_resend=self._record_resend,
            )
        )
        try:
            if upstream.status != 200:
                body = target.provider.redact(await read_fault(upstream))
                error = target.provider.classify_error(
                    upstream.status,
                    upstream.headers,
                    body,
                    services.clock.wall(),
                    names_model=not target.model.is_family,
                )
                if isinstance(error, Rejected):
                    error.request_id = self.exchange.id
                    error.body = self.binding.bridge.translate_error(error)
                raise error
            if upstream.headers.get(b"content-encoding", b"identity").lower() != b"identity":
                raise ProtocolError("the provider compressed its answer without being asked")
        except BaseException:
            upstream.close()
            raise
        return upstream

    def _record_resend(self) -> None:
        if self._record is not None:
            record_resend(self.exchange, self._record, self.services.clock.monotonic())

    def read(self, upstream: UpstreamResponse) -> Awaitable[bytes]:
        """Return the whole body of an unstreamed response. Raises `UpstreamError`."""
        document = Document(upstream, self.limits.answer)
        upstream.attach(document)
        return document.read()

    def read_answer(self, body: bytes, request: ChatRequest) -> tuple[bytes, Usage | None]:
        """Return the body for the client and the usage. Raises `UpstreamError`."""
        return self.binding.bridge.read_answer(body, request, self.services.clock.wall())

    def head(self) -> str:
        """Return the header lines that differ from request to request."""
        exchange = self.exchange
        lines = f"x-request-id: {exchange.id}\r\n"
        for name in FROM_CLIENT_DIALECT:
            if name in exchange.headers:
                value = client_value(exchange.headers, name)
                lines += f"{name}: {value}\r\n"
        return lines + self.client_lines()

    def client_lines(self) -> str:
        """Return the client's header lines that the provider's API takes, and `via`."""
        headers, lines = self.exchange.headers, ""
        for name, otherwise in self.target.provider.client_headers.items():
            if value := client_value(headers, name, otherwise):
                lines += f"{name}: {value}\r\n"
        return lines + second_via(headers)


async def read_fault(upstream: UpstreamResponse) -> bytes:
    """Return the body of an error response, b"" where it is too long or breaks off."""
    document = Document(upstream, FAULT_LIMIT)
    upstream.attach(document)
    try:
        return await document.read()
    except GatewayError:
        return b""  # the status says enough

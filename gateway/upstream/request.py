"""The call of an endpoint: what is sent for a request, and what comes back judged by its status."""

from typing import Final

from gateway.config.spec import LimitsSpec
from gateway.core.chat import ChatRequest
from gateway.core.errors import GatewayError, InvalidRequest, ProtocolError, Rejected, Untranslatable
from gateway.core.exchange import Exchange
from gateway.pools.target import Target
from gateway.providers.base import GATEWAY, VIA, all_of
from gateway.providers.transport import UpstreamResponse, WireRequest
from gateway.snapshot import Services
from gateway.streaming.relay import Document

FAULT_LIMIT: Final = 256 * 2**10  # bytes of an error's body that are worth passing on
TRACE_HEADERS: Final = ("traceparent", "tracestate")


class UpstreamRequest:
    """Asks one endpoint for one request."""

    __slots__ = ("binding", "exchange", "limits", "model_id", "services", "target")

    def __init__(self, exchange: Exchange, target: Target, limits: LimitsSpec, services: Services) -> None:
        assert exchange.request is not None
        self.exchange = exchange
        self.target = target
        self.limits = limits
        self.services = services
        self.binding = target.bindings[exchange.path]
        self.model_id = target.provider.model_id(target.model, exchange.request.model)

    def body(self, request: ChatRequest) -> bytes:
        """Give the request as the provider takes it. Raises `Untranslatable`."""
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
        """Send a body, with `head` beside the headers that are always the same, and wait for an answer that is one."""
        target, services = self.target, self.services
        own = f"content-length: {len(body)}\r\n{head}\r\n"
        answer = await services.transport.ask(
            WireRequest(
                origin=target.provider.origin,
                head=self.binding.request_head + own.encode("utf-8", "surrogateescape"),
                body=body,
                timeouts=target.timeouts,
                is_stream=is_stream,
                total_at=total_at,
                write_timeout_s=self.limits.write_timeout_s,
            )
        )
        try:
            if answer.status != 200:
                body = target.provider.redact(await read_fault(answer))
                fault = target.provider.fault(answer.status, answer.headers, body, services.clock.wall())
                if isinstance(fault, Rejected):
                    fault.body = self.binding.bridge.translate_error(fault)
                raise fault
            if answer.headers.get(b"content-encoding", b"identity").lower() != b"identity":
                raise ProtocolError("the provider compressed its answer without being asked")
        except BaseException:
            answer.close()
            raise
        return answer

    async def read(self, answer: UpstreamResponse) -> bytes:
        """Give the whole body of an unstreamed answer."""
        document = Document(answer, self.limits.answer)
        answer.attach(document)
        return await document.read()

    def head(self) -> str:
        """Give the headers that differ from request to request."""
        exchange = self.exchange
        lines = f"x-request-id: {exchange.id}\r\n"
        for name in TRACE_HEADERS:
            if (value := exchange.headers.get(name)) is not None:
                lines += f"{name}: {value}\r\n"
        return lines + self.handed_on()

    def handed_on(self) -> str:
        """Give those of them that say something of the answer that is wanted, or of the way to it."""
        headers, lines = self.exchange.headers, ""
        for name, otherwise in self.target.provider.client_headers.items():
            if value := headers.get(name, otherwise):
                lines += f"{name}: {value}\r\n"
        if "via" in headers and any(GATEWAY in via.lower() for via in all_of(headers, "via")):
            lines += f"via: {VIA}\r\n"  # beside our own: two gateways are a chain, a third time round is a loop
        return lines


async def read_fault(answer: UpstreamResponse) -> bytes:
    """Give the body of an error, b"" where it is too long or breaks off."""
    document = Document(answer, FAULT_LIMIT)
    answer.attach(document)
    try:
        return await document.read()
    except GatewayError:
        return b""  # the status says enough

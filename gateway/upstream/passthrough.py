"""A request that is passed through: neither it nor its response is read, and nothing is translated.

It is sent a second time only where that can do no harm (RFC 9110, 9.2.2):

| the request                              | is sent again                                                      |
|------------------------------------------|--------------------------------------------------------------------|
| an upload of which something was read    | never: it is gone                                                  |
| GET, HEAD, PUT, DELETE                   | as the settings for retries say                                    |
| POST, PATCH                              | where the provider can't have begun: no connection, a key refused, |
|                                          | a limit; a kept connection that closes at once (`AT_ONCE_S`)       |
"""

from collections.abc import Mapping
from math import inf
from typing import Final

from gateway.accounting.passthrough_usage import COPY_LIMIT, model_known_as, reported_usage
from gateway.config.spec import ModelSpec, ServerLimitsSpec
from gateway.core.errors import CredentialRefused, ProtocolError, UpstreamError
from gateway.core.exchange import AttemptRecord, Exchange
from gateway.core.faults import Fault
from gateway.core.response import Response
from gateway.pools.target import Target
from gateway.providers.transport import AT_ONCE_S, UpstreamResponse, WireRequest
from gateway.snapshot import Services
from gateway.streaming.download import Download
from gateway.streaming.upload import Upload
from gateway.upstream.attempt import record_resend
from gateway.upstream.request import read_fault

REPEATABLE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})  # idempotent: done twice they do the same
UNTOUCHED: Final = frozenset({Fault.CREDENTIAL, Fault.RATE_LIMITED, Fault.QUOTA})  # the provider only refused
NO_CONNECTION: Final = frozenset({"connect_timeout", "upstream_connect", "upstream_tls"})
NOT_MODIFIED: Final = 304
CONFLICT: Final = 409


class PassthroughCall:
    """One request on its way through: how it is put to an endpoint. `models`: whose prices a response may name."""

    def __init__(self, method: str, target: str, body: bytes | Upload, models: Mapping[str, ModelSpec]) -> None:
        self._method = method
        self._target = target
        self._body = body
        self._models = models

    async def send(
        self, exchange: Exchange, target: Target, limits: ServerLimitsSpec, services: Services, total_at: float | None
    ) -> Response:
        """Send the request to one endpoint, and return the head of a response that can be forwarded.

        Raises `UpstreamError`, with the provider's own response where it refused; then nothing is left open.
        """
        record = exchange.attempt
        assert record is not None
        record.model = ""  # the response may name one
        try:
            upstream = await self._send(exchange, target, limits, services, total_at)
        except BaseException as error:
            exchange.is_replayable = self._may_repeat(error)
            raise
        taps = (UsageReader(record, self._models),) if _may_report_usage(upstream) else ()
        return Response(upstream.status, upstream.headers, source=Download(upstream), taps=taps)

    async def _send(
        self, exchange: Exchange, target: Target, limits: ServerLimitsSpec, services: Services, total_at: float | None
    ) -> UpstreamResponse:
        record = exchange.attempt
        assert record is not None
        upstream = await services.transport.send(
            WireRequest(
                origin=target.provider.origin,
                head=self._head(exchange, target),
                body=b"" if isinstance(self._body, Upload) else self._body,
                timeouts=target.timeouts,
                is_stream=False,
                total_at=total_at,
                write_timeout_s=limits.write_timeout_s,
                upload=self._body if isinstance(self._body, Upload) else None,
                is_head=self._method == "HEAD",
                resend_within_s=inf if self._method in REPEATABLE else AT_ONCE_S,
                on_resend=lambda: record_resend(exchange, record, services.clock.monotonic()),
            )
        )
        if upstream.status < 300 or upstream.status == NOT_MODIFIED:
            return upstream
        try:
            if isinstance(self._body, Upload):
                self._body.stop()  # whatever the provider says, it does not want the rest
            body = target.provider.redact(await read_fault(upstream))
            if upstream.status < 400:
                message = "the provider answered with a redirect, which is not followed"
                raise ProtocolError(message, fault=Fault.REJECTED)
            error = target.provider.classify_error(upstream.status, upstream.headers, body, services.clock.wall())
            if upstream.status == CONFLICT:
                error.fault = Fault.REJECTED  # with what the client's request names; for chat it is a lock that passes
            if body and not isinstance(error, CredentialRefused) and error.http_status == upstream.status:
                error.response = Response(upstream.status, upstream.headers, body=body)
            raise error
        except BaseException:
            upstream.close()
            raise

    def _head(self, exchange: Exchange, target: Target) -> bytes:
        lines = f"x-request-id: {exchange.id}\r\n"
        if isinstance(self._body, Upload):
            size = self._body.size
            lines += "transfer-encoding: chunked\r\n" if size is None else f"content-length: {size}\r\n"
        elif self._body or self._method not in ("GET", "HEAD", "DELETE"):
            lines += f"content-length: {len(self._body)}\r\n"
        return target.provider.pass_through_head(self._method, self._target, exchange.headers) + f"{lines}\r\n".encode()

    def _may_repeat(self, error: BaseException) -> bool:
        """Whether the request can be sent again after `error`; the table at the top of this file."""
        if isinstance(self._body, Upload):
            return not self._body.has_begun
        if self._method in REPEATABLE or not isinstance(error, UpstreamError):
            return True
        return error.fault in UNTOUCHED or error.error_code in NO_CONNECTION


class UsageReader:
    """A tap that books the usage which a JSON response reports, if the configuration has a price for its model."""

    def __init__(self, record: AttemptRecord, models: Mapping[str, ModelSpec]) -> None:
        self._record = record
        self._models = models
        self._copy = bytearray()
        self._is_too_long = False

    def feed(self, data: bytes) -> None:
        if self._is_too_long:
            return
        self._copy += data
        if len(self._copy) > COPY_LIMIT:
            self._is_too_long = True
            self._copy.clear()

    def finish(self) -> None:
        reported = reported_usage(bytes(self._copy)) if self._copy else None
        if reported is None:
            return
        model = model_known_as(reported[0], self._record.provider, self._models)
        if model is not None:
            self._record.model, self._record.usage = model, reported[1]


def _may_report_usage(upstream: UpstreamResponse) -> bool:
    length = upstream.headers.get(b"content-length", b"0")
    return upstream.content_type == b"application/json" and length.isdigit() and int(length) <= COPY_LIMIT

"""The line of a request that is passed through as it is: nothing in it is read, nothing of it is translated.

A request that was sent may be sent to somebody else, or once more, only where that can do no harm (RFC 9110, 9.2.2):

| what was sent                            | asked again                                        |
|------------------------------------------|----------------------------------------------------|
| an upload of which something was read    | never: it is gone                                  |
| GET, HEAD, PUT, DELETE                   | as the settings for retries have it                |
| POST, PATCH                              | where the provider can't have begun: no connection, |
|                                          | a key refused, a limit                             |
"""

import asyncio
from typing import Final, Protocol

from gateway.accounting.cost import charge
from gateway.accounting.passthrough_usage import COPY_LIMIT, model_known_as, reported_usage
from gateway.config.spec import LimitsSpec
from gateway.core.chat import ChatRequest
from gateway.core.errors import CredentialRefused, GatewayError, NoCapacity, ProtocolError, UpstreamError
from gateway.core.exchange import Exchange
from gateway.core.faults import Fault
from gateway.pools.target import Target
from gateway.providers.transport import UpstreamResponse, WireRequest
from gateway.snapshot import Services, Snapshot
from gateway.streaming.download import Download
from gateway.streaming.upload import Upload
from gateway.upstream.dispatcher import Upstream, dispatch
from gateway.upstream.request import read_fault

REPEATABLE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})  # what they do is the same, done once or twice
UNTOUCHED: Final = frozenset({Fault.CREDENTIAL, Fault.RATE_LIMITED, Fault.QUOTA})  # the provider did nothing but refuse
NO_CONNECTION: Final = frozenset({"connect_timeout", "upstream_connect", "upstream_tls"})
NOT_MODIFIED: Final = 304


class Client(Protocol):
    """The other end. Its methods write `committed_at` and `status` of the exchange, which only they can know."""

    method: str

    def target(self) -> str:
        """Give the path and query to ask for. Raises `InvalidRequest`."""
        ...

    async def body(self) -> bytes | Upload:
        """Give the body: whole where it is small, else to be sent as it comes. Raises `CallerError`."""
        ...

    async def hand_on(self, answer: UpstreamResponse, download: Download) -> None:
        """Give the provider's answer as it comes; its head is the commit point. Raises `UpstreamError`."""
        ...

    def refuse(self, error: GatewayError, answer: UpstreamResponse, body: bytes) -> None:
        """Give the provider's own refusal, as it came."""
        ...

    def fail(self, error: GatewayError) -> None:
        """Give an error, or break off where the answer has begun."""
        ...


async def serve(exchange: Exchange, snapshot: Snapshot, services: Services, client: Client) -> None:
    """Take one request from arrival to account. What goes wrong is told to the client; only its leaving passes through."""
    passage: _Passage | None = None
    try:
        exchange.principal = snapshot.auth.identify(exchange.headers)
        services.check_room()
        exchange.route = snapshot.router.match_path(
            client.method, exchange.path, exchange.headers, exchange.principal, services.clock.wall()
        )
        exchange.request = ChatRequest(raw=b"", path=exchange.path, model="")
        path = snapshot.pass_paths[exchange.route]
        if not path.stages:
            raise NoCapacity("the provider of this route is off")
        passage = _Passage(client.method, client.target(), await client.body())
        with await dispatch(exchange, path, snapshot, services, passage.ask) as upstream:
            download = Download(upstream.answer, COPY_LIMIT if _may_say_its_use(upstream.answer) else 0)
            await client.hand_on(upstream.answer, download)
            _note_use(exchange, snapshot, download.copy)
        exchange.outcome = "ok"
    except GatewayError as error:
        exchange.outcome, exchange.error = "failed", error
        if passage is not None and passage.refusal is not None and passage.refusal[0] is error:
            client.refuse(*passage.refusal)
        else:
            client.fail(error)
    except asyncio.CancelledError:
        if exchange.cut is None:
            exchange.outcome, exchange.status = "abandoned", exchange.status or 499
            raise
        exchange.outcome, exchange.error = "failed", exchange.cut
        client.fail(exchange.cut)
    except BaseException:  # a failure of our own: the edge answers 500
        exchange.outcome, exchange.status = "failed", exchange.status or 500
        raise
    finally:
        if passage is not None:
            passage.stop()
        if exchange.meter.usage is None:
            exchange.model = ""
        exchange.finished_at = services.clock.monotonic()
        exchange.meter.usage, exchange.cost_picodollars = charge(exchange, snapshot.prices)
        services.reporter.file(exchange)


class _Passage:
    """One request on its way through: how an endpoint is asked for it. `refusal`: the provider's last word, as it came."""

    def __init__(self, method: str, target: str, body: bytes | Upload) -> None:
        self._method = method
        self._target = target
        self._body = body
        self.refusal: tuple[GatewayError, UpstreamResponse, bytes] | None = None

    def stop(self) -> None:
        """Send nothing more."""
        if isinstance(self._body, Upload):
            self._body.stop()

    async def ask(
        self, exchange: Exchange, target: Target, limits: LimitsSpec, services: Services, total_at: float | None
    ) -> Upstream:
        """Ask one endpoint, and wait for the head of what can be handed on. Raises `UpstreamError`; then nothing is left open."""
        try:
            return Upstream(target, await self._ask(exchange, target, limits, services, total_at))
        except BaseException as error:
            exchange.is_spent = not self._may_repeat(error)
            raise

    async def _ask(
        self, exchange: Exchange, target: Target, limits: LimitsSpec, services: Services, total_at: float | None
    ) -> UpstreamResponse:
        answer = await services.transport.send(
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
            )
        )
        if answer.status < 300 or answer.status == NOT_MODIFIED:
            return answer
        try:
            self.stop()  # whatever the provider says, it does not want the rest
            body = target.provider.redact(await read_fault(answer))
            if answer.status < 400:
                message = "the provider answered with a redirect, which is not followed"
                raise ProtocolError(message, fault=Fault.REJECTED)
            error = target.provider.classify_error(answer.status, answer.headers, body, services.clock.wall())
            if not isinstance(error, CredentialRefused):
                self.refusal = error, answer, body
            raise error
        except BaseException:
            answer.close()
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


def _may_say_its_use(answer: UpstreamResponse) -> bool:
    length = answer.headers.get(b"content-length", b"0")
    return answer.content_type == b"application/json" and length.isdigit() and int(length) <= COPY_LIMIT


def _note_use(exchange: Exchange, snapshot: Snapshot, body: bytes) -> None:
    """Note what an answer says it used, where its model has a price."""
    said = reported_usage(body) if body else None
    if said is None:
        return
    model = model_known_as(said[0], exchange.provider, snapshot.spec.models)
    if model is not None:
        exchange.model, exchange.meter.usage = model, said[1]

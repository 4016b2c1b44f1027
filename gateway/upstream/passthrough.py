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
from gateway.accounting.passthrough_usage import COPY_LIMIT, model_called, used
from gateway.config.spec import LimitsSpec
from gateway.core.chat import ChatRequest
from gateway.core.errors import CredentialRefused, GatewayError, NoCapacity, ProtocolError, UpstreamError
from gateway.core.exchange import Exchange
from gateway.core.faults import Fault
from gateway.pools.endpoint import Target
from gateway.providers.transport import Answer, Call
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

    async def hand_on(self, answer: Answer, download: Download) -> None:
        """Give the provider's answer as it comes; its head is the commit point. Raises `UpstreamError`."""
        ...

    def refuse(self, error: GatewayError, answer: Answer, body: bytes) -> None:
        """Give the provider's own refusal, as it came."""
        ...

    def fail(self, error: GatewayError) -> None:
        """Give an error, or break off where the answer has begun."""
        ...


async def serve(x: Exchange, snapshot: Snapshot, services: Services, client: Client) -> None:
    """Take one request from arrival to account. What goes wrong is told to the client; only its leaving passes through."""
    passage: _Passage | None = None
    try:
        x.principal = snapshot.auth.identify(x.headers)
        services.check_room()
        x.route = snapshot.router.match_path(client.method, x.path, x.headers, x.principal, services.clock.wall())
        x.request = ChatRequest(raw=b"", path=x.path, model="")
        path = snapshot.pass_paths[x.route]
        if not path.hops:
            raise NoCapacity("the provider of this route is off")
        passage = _Passage(client.method, client.target(), await client.body())
        with await dispatch(x, path, snapshot, services, passage.ask) as upstream:
            download = Download(upstream.answer, COPY_LIMIT if _may_say_its_use(upstream.answer) else 0)
            await client.hand_on(upstream.answer, download)
            _note_use(x, snapshot, download.copy)
        x.outcome = "ok"
    except GatewayError as error:
        x.outcome, x.error = "failed", error
        if passage is not None and passage.refusal is not None and passage.refusal[0] is error:
            client.refuse(*passage.refusal)
        else:
            client.fail(error)
    except asyncio.CancelledError:
        if x.cut is None:
            x.outcome, x.status = "abandoned", x.status or 499
            raise
        x.outcome, x.error = "failed", x.cut
        client.fail(x.cut)
    except BaseException:  # a failure of our own: the edge answers 500
        x.outcome, x.status = "failed", x.status or 500
        raise
    finally:
        if passage is not None:
            passage.stop()
        if x.meter.usage is None:
            x.model = ""
        x.finished_at = services.clock.monotonic()
        x.meter.usage, x.cost_picodollars = charge(x, snapshot.prices)
        services.reporter.file(x)


class _Passage:
    """One request on its way through: how an endpoint is asked for it. `refusal`: the provider's last word, as it came."""

    def __init__(self, method: str, target: str, body: bytes | Upload) -> None:
        self._method = method
        self._target = target
        self._body = body
        self.refusal: tuple[GatewayError, Answer, bytes] | None = None

    def stop(self) -> None:
        """Send nothing more."""
        if isinstance(self._body, Upload):
            self._body.stop()

    async def ask(
        self, x: Exchange, target: Target, limits: LimitsSpec, services: Services, total_at: float | None
    ) -> Upstream:
        """Ask one endpoint, and wait for the head of what can be handed on. Raises `UpstreamError`; then nothing is left open."""
        try:
            return Upstream(target, await self._ask(x, target, limits, services, total_at))
        except BaseException as error:
            x.is_spent = not self._may_repeat(error)
            raise

    async def _ask(
        self, x: Exchange, target: Target, limits: LimitsSpec, services: Services, total_at: float | None
    ) -> Answer:
        answer = await services.transport.ask(
            Call(
                origin=target.provider.origin,
                head=self._head(x, target),
                body=b"" if isinstance(self._body, Upload) else self._body,
                clocks=target.clocks,
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
            body = target.provider.conceal(await read_fault(answer))
            if answer.status < 400:
                message = "the provider answered with a redirect, which is not followed"
                raise ProtocolError(message, fault=Fault.REJECTED)
            error = target.provider.fault(answer.status, answer.headers, body, services.clock.wall())
            if not isinstance(error, CredentialRefused):
                self.refusal = error, answer, body
            raise error
        except BaseException:
            answer.close()
            raise

    def _head(self, x: Exchange, target: Target) -> bytes:
        lines = f"x-request-id: {x.id}\r\n"
        if isinstance(self._body, Upload):
            size = self._body.size
            lines += "transfer-encoding: chunked\r\n" if size is None else f"content-length: {size}\r\n"
        elif self._body or self._method not in ("GET", "HEAD", "DELETE"):
            lines += f"content-length: {len(self._body)}\r\n"
        return target.provider.pass_head(self._method, self._target, x.headers) + f"{lines}\r\n".encode()

    def _may_repeat(self, error: BaseException) -> bool:
        """Whether the request can be sent again after `error`; the table at the top of this file."""
        if isinstance(self._body, Upload):
            return not self._body.has_begun
        if self._method in REPEATABLE or not isinstance(error, UpstreamError):
            return True
        return error.fault in UNTOUCHED or error.error_code in NO_CONNECTION


def _may_say_its_use(answer: Answer) -> bool:
    length = answer.headers.get(b"content-length", b"0")
    return answer.content_type == b"application/json" and length.isdigit() and int(length) <= COPY_LIMIT


def _note_use(x: Exchange, snapshot: Snapshot, body: bytes) -> None:
    """Note what an answer says it used, where its model has a price."""
    said = used(body) if body else None
    if said is None:
        return
    model = model_called(said[0], x.provider, snapshot.spec.models)
    if model is not None:
        x.model, x.meter.usage = model, said[1]

"""Attempts: from the targets that may answer a request to the one that does.

A target is left for the next one only while nothing has been sent to the client; that point once passed, an error is the
client's to see. An attempt ends in exactly one of three ways: ok, failed, or abandoned (the client left, or the request
itself was at fault), which tells the breaker nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType

from gateway import dialects
from gateway.config.spec import LimitsSpec
from gateway.core.errors import (
    ClientStalled,
    DeadlineExceeded,
    GatewayError,
    NoCapacity,
    ProtocolError,
    StillWarming,
)
from gateway.core.exchange import Attempt, Exchange
from gateway.pools.endpoint import Path, Target
from gateway.providers.base import VIA
from gateway.providers.transport import Answer, Call
from gateway.resilience.breaker import Permit
from gateway.snapshot import Services, Snapshot
from gateway.streaming.relay import Document, EventStream

FAULT_LIMIT = 256 * 2**10  # bytes of an error's body that are worth passing on
GATEWAY = VIA.split()[1]
FORWARDED = ("traceparent", "tracestate", "idempotency-key", "openai-beta")  # of the client's headers


@dataclass(slots=True)
class Upstream:
    """An answer that can be given to the client: whole (`body`), or a stream that has come to its first content."""

    target: Target
    answer: Answer
    body: bytes | None = None
    stream: EventStream | None = None
    keepalive_s: float | None = None


@asynccontextmanager
async def dispatch(x: Exchange, path: Path, snapshot: Snapshot, services: Services) -> AsyncIterator[Upstream]:
    """Ask targets in their order until one answers, and give its answer; leaving closes it.

    Raises the last error where none answers, `NoCapacity` where none could be asked.
    """
    now = asyncio.get_running_loop().time
    arrived_at = now() - (services.clock.monotonic() - x.received_at)
    failure: GatewayError | None = None
    asked = path.hops[0].pool if path.hops else ""
    for pool, target in _candidates(path, services):
        total_s = target.clocks.total_s
        total_at = None if total_s is None else arrived_at + total_s
        if failure is not None and total_at is not None and now() >= total_at:
            raise DeadlineExceeded("no time is left for another attempt (total clock)")
        permit = target.endpoint.breaker.try_acquire()
        if permit is None:
            continue
        if pool != asked:
            services.metrics.fallbacks[pool].value += 1
            asked = pool
        with _Trial(x, pool, target, permit, services) as trial:
            try:
                upstream = await _ask(x, target, snapshot.spec.server.limits, services, total_at)
            except GatewayError as error:
                trial.fail(error)
                if not error.is_retryable or x.committed_at or error.error_code == "total_timeout":
                    raise
                failure = error
                continue
            trial.answered()
            upstream.keepalive_s = path.keepalive_s
            try:
                yield upstream
            finally:
                upstream.answer.close()
            return
    raise failure or _nobody(path)


def _candidates(path: Path, services: Services) -> Iterator[tuple[str, Target]]:
    """Give the targets in fallback order; those whose server still warms up come last, when there is nobody else."""
    warming = []
    for hop in path.hops:
        for target in hop.targets:
            if services.children.is_warming(target.endpoint.provider):
                warming.append((hop.pool, target))
            else:
                yield hop.pool, target
    yield from warming


def _nobody(path: Path) -> GatewayError:
    if not path.hops:
        return NoCapacity("the provider of this model is off")
    waits = [target.endpoint.breaker.retry_in_s() for hop in path.hops for target in hop.targets]
    return NoCapacity("every endpoint that could answer is resting after failures", retry_after_s=min(waits))


class _Trial:
    """The books of one attempt: the exchange's record, the endpoint's in-flight count, the breaker's permit."""

    def __init__(self, x: Exchange, pool: str, target: Target, permit: Permit, services: Services) -> None:
        self._x = x
        self._endpoint = target.endpoint
        self._permit = permit
        self._now = services.clock.monotonic
        self._since = self._now()
        self._attempt = Attempt(target.endpoint.id, self._since)
        x.attempts.append(self._attempt)
        x.pool, x.model, x.provider = pool, target.model.name, target.endpoint.provider

    def __enter__(self) -> "_Trial":
        self._endpoint.in_flight += 1
        return self

    def answered(self) -> None:
        """Note that there is an answer; what follows is its relay."""
        now = self._now()
        self._x.waited_s += now - self._since
        self._since = now
        self._x.meter.first_event_at = now

    def fail(self, error: GatewayError) -> None:
        """Note that the attempt failed, and whether the endpoint is to blame."""
        self._attempt.outcome, self._attempt.code = "failed", error.error_code
        if error.hurts_breaker:
            self._permit.fail()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._endpoint.in_flight -= 1
        now = self._now()
        self._x.waited_s += now - self._since
        self._x.meter.last_event_at = now
        if self._attempt.outcome == "running":
            if error is None:
                self._attempt.outcome = "ok"
                self._permit.succeed()
            elif isinstance(error, GatewayError) and not isinstance(error, ClientStalled):
                self.fail(error)
            else:
                self._attempt.outcome = "abandoned"
        self._permit.abandon()


async def _ask(x: Exchange, target: Target, limits: LimitsSpec, services: Services, total_at: float | None) -> Upstream:
    """Make one attempt: until the first content of a stream, or the end of an unstreamed answer."""
    request = x.request
    assert request is not None
    await _until_warm(target, services, total_at)
    dialect = dialects.BY_NAME[target.provider.dialect]
    body = dialect.encode_request(request, target.provider.model_id(target.model, request.model))
    answer = await services.transport.ask(
        Call(
            origin=target.provider.origin,
            head=target.request_head + _own_head(x, len(body)),
            body=body,
            clocks=target.clocks,
            is_stream=request.stream,
            total_at=total_at,
            write_timeout_s=limits.write_timeout_s,
        )
    )
    try:
        if answer.status != 200:
            raise target.provider.fault(answer.status, answer.headers, await _read_fault(answer))
        if answer.headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise ProtocolError("the provider compressed its answer without being asked")
        if request.stream:
            if answer.content_type != b"text/event-stream":
                raise ProtocolError("the provider's answer is not an event stream")
            codec = dialect.read_stream(x.meter, hides_usage=not request.wants_usage, choices=request.n)
            stream = EventStream(answer, codec, limits.event)
            answer.attach(stream)
            await stream.until_content()
            return Upstream(target, answer, stream=stream)
        document = Document(answer, limits.answer)
        answer.attach(document)
        whole = await document.read()
        x.meter.usage = dialect.read_answer(whole)
        x.meter.bytes_out = len(whole)
        return Upstream(target, answer, body=whole)
    except BaseException:
        answer.close()
        raise


async def _until_warm(target: Target, services: Services, total_at: float | None) -> None:
    if not services.children.is_warming(target.endpoint.provider):
        return
    patience_s = target.clocks.first_token_s
    if total_at is not None:
        left_s = total_at - asyncio.get_running_loop().time()
        patience_s = left_s if patience_s is None else min(patience_s, left_s)
    try:
        await services.children.wait(target.endpoint.provider, patience_s)
    except TimeoutError:
        raise StillWarming(f"{target.endpoint.provider} is still starting", retry_after_s=1.0) from None


async def _read_fault(answer: Answer) -> bytes:
    document = Document(answer, FAULT_LIMIT)
    answer.attach(document)
    try:
        return await document.read()
    except GatewayError:
        return b""  # the status says enough


def _own_head(x: Exchange, length: int) -> bytes:
    """Give the headers that differ from request to request, and the blank line."""
    lines = f"x-request-id: {x.id}\r\ncontent-length: {length}\r\n"
    for name in FORWARDED:
        if (value := x.headers.get(name)) is not None:
            lines += f"{name}: {value}\r\n"
    if "via" in x.headers and any(GATEWAY in via.lower() for via in _all(x.headers, "via")):
        lines += f"via: {VIA}\r\n"  # beside our own: two gateways are a chain, a third time round is a loop
    return f"{lines}\r\n".encode("utf-8", "surrogateescape")


def _all(headers: Mapping[str, str], name: str) -> list[str]:
    """Give every value of a header that may stand several times."""
    get_all = getattr(headers, "getall", None)
    return list(get_all(name)) if get_all is not None else [headers[name]]

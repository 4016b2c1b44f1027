"""One attempt: one request to one endpoint, until the first content of a stream or the end of an unstreamed answer.

An attempt ends in exactly one of three ways: ok, failed, or abandoned (the client left, the request itself was at fault,
another endpoint was faster), which tells the breaker nothing. `Attempt` keeps the books of that; `ask` does the asking.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from gateway.config.spec import LimitsSpec
from gateway.core.chat import ChatRequest
from gateway.core.errors import ClientStalled, GatewayError, ProtocolError
from gateway.core.exchange import AttemptRecord, Exchange
from gateway.core.usage import Usage
from gateway.dialects import GATHERED
from gateway.dialects.base import Gathering
from gateway.pools import batches
from gateway.pools.concurrency import ConcurrencyLimiter
from gateway.pools.target import Target
from gateway.providers.transport import UpstreamResponse
from gateway.resilience.retry import RetryToken
from gateway.snapshot import Services
from gateway.streaming.relay import EventStream
from gateway.upstream.request import UpstreamRequest


@dataclass(slots=True)
class Upstream:
    """An answer that can be given to the client: whole (`body`), or a stream that has come to its first content."""

    target: Target
    answer: UpstreamResponse
    body: bytes | None = None
    stream: EventStream | None = None
    usage: Usage | None = None
    keepalive_s: float | None = None


class Attempt:
    """The books of one attempt: the exchange's record, what runs where, the breaker's permit, the retry's token.

    Made when the endpoint is asked. It is ended by `fail` or `abandon`, or else, once there is an answer, by leaving it as a
    context: without an error it went well. Nothing here waits.
    """

    __slots__ = (
        "_attempt",
        "_entered_at",
        "_exchange",
        "_limiter",
        "_now",
        "_permit",
        "_since",
        "_token",
        "_upstream",
        "target",
    )

    def __init__(self, exchange: Exchange, target: Target, token: RetryToken | None, services: Services) -> None:
        self._exchange = exchange
        self.target = target
        self._token = token
        self._permit = target.endpoint.breaker.try_acquire()  # None: asked in spite of it
        self._upstream: Upstream | None = None
        self._now = services.clock.monotonic
        self._since = self._now()
        self._limiter: ConcurrencyLimiter | None = None
        self._entered_at = 0.0
        endpoint = target.endpoint
        self._attempt = AttemptRecord(endpoint.id, self._since)
        exchange.attempts.append(self._attempt)
        exchange.model, exchange.provider = target.model.name, endpoint.provider
        endpoint.in_flight += 1
        endpoint.load.in_flight += 1

    @property
    def upstream(self) -> Upstream:
        """The answer, once there is one."""
        assert self._upstream is not None
        return self._upstream

    @property
    def was_abandoned(self) -> bool:
        return self._attempt.outcome == "abandoned"

    def fail(self, error: GatewayError) -> None:
        """End the attempt as failed; whether the endpoint is to blame stands in the error."""
        self._attempt.outcome, self._attempt.code = "failed", error.error_code
        if error.is_retryable or error.hurts_breaker:
            self.target.endpoint.failures.observe(1.0, self._now())
            if self._token is not None:
                self._token.failed()
        if error.hurts_breaker and self._permit is not None:
            self._permit.fail()
        self._end()

    def abandon(self) -> None:
        """End the attempt as one that says nothing about the endpoint."""
        self._attempt.outcome = "abandoned"
        self._end()

    def discard(self) -> None:
        """Abandon the attempt, answered or not, unless it has ended."""
        if self._attempt.outcome == "running":
            if self._upstream is not None:
                self._upstream.answer.close()
            self.abandon()

    def answered(self, upstream: Upstream) -> None:
        """Note that there is an answer, and what it tells of the endpoint."""
        endpoint, now = self.target.endpoint, self._now()
        took_s, self._since = now - self._since, now
        if upstream.stream is not None:
            endpoint.first_token_s.observe(took_s, now)
            endpoint.recent_first_tokens_s.observe(took_s)
        else:
            endpoint.answer_s.observe(took_s, now)
            endpoint.recent_answers_s.observe(took_s)
        endpoint.failures.observe(0.0, now)
        endpoint.credential.is_refused = False
        if self._token is not None:
            self._token.answered()
        self._upstream = upstream

    def taken(self, pool: str) -> None:
        """Note that this answer is the client's; what follows is its relay."""
        exchange, upstream = self._exchange, self.upstream
        exchange.pool, exchange.model, exchange.provider = pool, self.target.model.name, self.target.endpoint.provider
        exchange.meter.first_event_at = self._since
        if upstream.body is not None:
            exchange.meter.usage, exchange.meter.bytes_out = upstream.usage, len(upstream.body)
            if upstream.usage is None:
                exchange.meter.samples = (upstream.body,)

    def hold(self, limiter: ConcurrencyLimiter, entered_at: float) -> None:
        """Keep a place in a pool until the end."""
        self._limiter, self._entered_at = limiter, entered_at

    def __enter__(self) -> Upstream:
        return self.upstream

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.upstream.answer.close()
        now = self._now()
        self._exchange.waited_s += now - self._since
        self._exchange.meter.last_event_at = now
        if error is None:
            self._attempt.outcome = "ok"
            if self._permit is not None:
                self._permit.succeed()
            self._end()
        elif isinstance(error, GatewayError) and not isinstance(error, ClientStalled):
            self.fail(error)
        else:
            self.abandon()

    def _end(self) -> None:
        endpoint = self.target.endpoint
        endpoint.in_flight -= 1
        endpoint.load.in_flight -= 1
        if self._permit is not None:
            self._permit.abandon()
        if self._token is not None:
            self._token.abandoned()
        if self._limiter is not None:
            self._limiter.leave(self._now() - self._entered_at)


async def ask(
    exchange: Exchange, target: Target, limits: LimitsSpec, services: Services, total_at: float | None
) -> Upstream:
    """Ask one endpoint, and wait for what can be given to the client. Raises `UpstreamError`; then nothing is left open."""
    request = exchange.request
    assert request is not None
    call = UpstreamRequest(exchange, target, limits, services)
    if target.batch is not None and (gathering := GATHERED.get(exchange.path)) is not None:
        inputs = gathering.count_inputs(request)
        if (
            inputs < target.batch.max
            and request.tokens <= batches.TOKENS_LIMIT
            and "idempotency-key" not in exchange.headers
        ):
            return await _ask_with_others(call, request, gathering, inputs, total_at)
    answer = await call.begin(call.body(request), call.head(), total_at, is_stream=request.stream)
    try:
        if request.stream:
            if answer.content_type != b"text/event-stream":
                raise ProtocolError("the provider's answer is not an event stream")
            codec = call.binding.bridge.read_stream(exchange.meter, request, services.clock.wall())
            stream = EventStream(answer, codec, limits.event, target.provider.redact)
            answer.attach(stream)
            await stream.until_content()
            return Upstream(target, answer, stream=stream)
        whole, usage = call.binding.bridge.read_answer(await call.read(answer), request, services.clock.wall())
        return Upstream(target, answer, body=whole, usage=usage)
    except BaseException:
        answer.close()
        raise


async def _ask_with_others(
    call: UpstreamRequest, request: ChatRequest, gathering: Gathering, inputs: int, total_at: float | None
) -> Upstream:
    """Ask together with requests that are alike, of one tenant: nobody else's input, usage or failure is in the same call."""
    exchange, target, services = call.exchange, call.target, call.services
    settings = target.batch
    assert settings is not None
    handed_on = call.handed_on()

    async def send(requests: Sequence[ChatRequest]) -> list[batches.BatchResult]:
        """Ask for requests of which this one is the first."""
        others = len(requests) - 1
        services.metrics.batches[exchange.pool].value += 1
        services.metrics.batched_requests[exchange.pool].value += len(requests)
        if others:
            body = gathering.join(requests, call.model_id)
            head = f"x-request-id: {exchange.id}+{others}\r\n{handed_on}"
        else:
            body, head = call.body(request), call.head()
        answer = await call.begin(body, head, None, is_stream=False)  # each caller keeps its own total clock
        try:
            whole = await call.read(answer)
            if others:
                parts = gathering.split(whole, requests)
            else:
                parts = [call.binding.bridge.read_answer(whole, request, services.clock.wall())]
        except BaseException:
            answer.close()
            raise
        return [batches.BatchResult(body, usage, answer) for body, usage in parts]

    key = (target, call.model_id, exchange.principal.tenant, handed_on, gathering.alike(request))
    result = await services.batches.ask(key, batches.BatchItem(request, inputs, send), settings, total_at)
    return Upstream(target, result.answer, body=result.body, usage=result.usage)

"""One attempt at one endpoint: its record, the breaker's permit, the retry's token, its place in the pool.

An attempt ends in exactly one of three ways: ok, failed, or abandoned (the client left, the request itself was at fault,
another endpoint was faster). An abandoned attempt tells the breaker nothing, but returns a half-open breaker's probe.
"""

from dataclasses import replace
from types import TracebackType
from typing import Final

from gateway.core.errors import ClientStalled, GatewayError, UpstreamError
from gateway.core.exchange import AttemptRecord, Exchange
from gateway.core.faults import Fault
from gateway.core.response import Response
from gateway.observability.report import log_failed_attempt
from gateway.pools.concurrency import ConcurrencyLimiter
from gateway.pools.target import Target
from gateway.resilience.retry import RetryToken
from gateway.snapshot import Services

STALE: Final = "stale_connection"
"""The code in the record of an attempt whose kept connection closed before it answered."""


def record_resend(exchange: Exchange, record: AttemptRecord, now: float) -> None:
    """Record that a request was sent on a kept connection that closed, as a failed attempt of its own before `record`.

    It counts among the attempts of its pool and in the log. The breaker does not hear of it: a provider may close an idle
    connection at any time.
    """
    stale = replace(record, outcome="failed", code=STALE, fault=Fault.CONNECT, ended_at=now)
    at = next(number for number, one in enumerate(exchange.attempts) if one is record)
    exchange.attempts.insert(at, stale)
    record.started_at, record.waited_s = now, 0.0


class Attempt:
    """An attempt that runs. Made when the endpoint is asked; `fail` or `abandon` end it before there is a response.

    After `succeed` it is a context: entering it returns the response, leaving it without an error ends the attempt well and
    closes the response. Nothing here waits.
    """

    __slots__ = (
        "_entered_at",
        "_exchange",
        "_limiter",
        "_now",
        "_permit",
        "_response",
        "_since",
        "_token",
        "record",
        "target",
    )

    def __init__(
        self, exchange: Exchange, target: Target, pool: str, token: RetryToken | None, services: Services
    ) -> None:
        self._exchange = exchange
        self.target = target
        self._token = token
        self._permit = target.endpoint.breaker.try_acquire()  # None: the endpoint is asked although its breaker is open
        self._response: Response | None = None
        self._now = services.clock.monotonic
        self._since = self._now()
        self._limiter: ConcurrencyLimiter | None = None
        self._entered_at = 0.0
        endpoint = target.endpoint
        self.record = AttemptRecord(
            endpoint.id, self._since, "running", None, pool, target.model.name, endpoint.provider
        )
        exchange.attempts.append(self.record)
        exchange.attempt = self.record
        endpoint.in_flight += 1
        endpoint.load.in_flight += 1

    @property
    def response(self) -> Response:
        """The response, once there is one."""
        assert self._response is not None
        return self._response

    @property
    def was_abandoned(self) -> bool:
        return self.record.outcome == "abandoned"

    def fail(self, error: GatewayError) -> None:
        """End the attempt as failed; the error says whether the endpoint is to blame."""
        record = self.record
        record.outcome, record.code = "failed", error.error_code
        if isinstance(error, UpstreamError):
            record.fault, record.status = error.fault, record.status or error.upstream_status or 0
        # Before the breaker, which may open and then logs why.
        self.target.endpoint.last_failure = log_failed_attempt(self._exchange.id, record, error)
        if error.is_retryable or error.hurts_breaker:
            self.target.endpoint.failures.observe(1.0, self._now())
            if self._token is not None:
                self._token.failed()
        if error.hurts_breaker and self._permit is not None:
            self._permit.fail()
        self._end()

    def abandon(self) -> None:
        """End the attempt as one that says nothing about the endpoint."""
        self.record.outcome = "abandoned"
        self._end()

    def discard(self) -> None:
        """Abandon the attempt, with or without a response, unless it has ended."""
        if self.record.outcome == "running":
            if self._response is not None:
                self._response.close()
            self.abandon()

    def succeed(self, response: Response) -> None:
        """Keep the response, and note what it tells of the endpoint."""
        endpoint, record, now = self.target.endpoint, self.record, self._now()
        took_s, self._since = now - self._since, now
        record.first_byte_at, record.status, record.usage = now, response.status, response.usage
        if response.source is not None:
            endpoint.first_token_s.observe(took_s, now)
            endpoint.recent_first_tokens_s.observe(took_s)
        else:
            endpoint.answer_s.observe(took_s, now)
            endpoint.recent_answers_s.observe(took_s)
        endpoint.failures.observe(0.0, now)
        endpoint.credential.is_refused = False
        if self._token is not None:
            self._token.answered()
        if self._permit is not None:
            self._permit.answered()
        self._response = response

    def choose(self) -> None:
        """Note that the client gets this response; what follows is its relay."""
        exchange, response = self._exchange, self.response
        exchange.attempt = self.record
        exchange.timeline.content_began(self._since)
        if response.body is not None:
            exchange.meter.bytes_out = len(response.body)
            if response.usage is None:
                exchange.meter.samples = (response.body,)

    def hold(self, limiter: ConcurrencyLimiter, entered_at: float) -> None:
        """Keep a place in a pool until the end."""
        self._limiter, self._entered_at = limiter, entered_at

    def __enter__(self) -> Response:
        return self.response

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.response.close()
        timeline = self._exchange.timeline
        timeline.add_wait("upstream", self._since)
        timeline.content_ended()
        if error is None:
            self.record.outcome = "ok"
            if self._permit is not None:
                self._permit.succeed()
            self._end()
        elif isinstance(error, GatewayError) and not isinstance(error, ClientStalled):
            self.fail(error)
        else:
            self.abandon()

    def _end(self) -> None:
        self.record.ended_at = self._now()
        endpoint = self.target.endpoint
        endpoint.in_flight -= 1
        endpoint.load.in_flight -= 1
        if self._permit is not None:
            self._permit.abandon()
        if self._token is not None:
            self._token.abandoned()
        if self._limiter is not None:
            self._limiter.release(self._now() - self._entered_at)

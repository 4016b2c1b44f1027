"""Report a finished request: its metrics and its line in the request log. Fails open, never waits.

A line holds no prompt and no key: names from the configuration, numbers, codes, the id and the path of the request.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway.core.clock import Clock
from gateway.core.errors import GatewayError, Rejected, UpstreamError
from gateway.core.exchange import AttemptRecord, Exchange
from gateway.core.faults import Fault
from gateway.core.money import PICODOLLARS
from gateway.observability.logging import Format, iso_time
from gateway.observability.metrics import OTHER, Metrics
from gateway.observability.request_log import RequestLog

log = logging.getLogger(__name__)

DETAIL_CHARS: Final = 300
NEEDS_OPERATOR: Final = frozenset({Fault.CREDENTIAL, Fault.QUOTA})  # errors in the log: waiting does not help


class FailedAttempt(msgspec.Struct, frozen=True, gc=False):
    """One failed attempt in a request line. `status`: the provider's; 0 where no response came."""

    endpoint: str
    fault: str
    status: int
    ms: float


class RequestLine(msgspec.Struct, frozen=True, gc=False):
    """One line of the request log. Times in milliseconds; null for what did not happen."""

    time: str  # when the request ended, UTC
    request_id: str
    tenant: str
    key_id: str
    path: str
    route: str
    pool: str
    model: (
        str  # of the response, else of the last attempt; without an attempt the one that the request names, or "other"
    )
    provider: str
    attempts: int
    failed_attempts: Sequence[FailedAttempt]  # in their order
    status: int
    outcome: str
    error: str | None
    provider_message: (
        str | None
    )  # the provider's own words about its failure, redacted and cut; never about a rejected request
    stream: bool
    input_tokens: int
    output_tokens: int
    is_estimated: bool
    cost_usd: float
    duration_ms: float
    first_token_ms: float | None
    overhead_ms: float
    queued_ms: float  # of the duration, in the queue of a full pool
    degraded: str | None  # the pool that should have answered, and why another one did
    bytes_in: int
    bytes_out: int
    config: int


class Reporter:
    """Reports finished exchanges. Without a `request_log` only the metrics are kept."""

    def __init__(self, metrics: Metrics, request_log: RequestLog | None, clock: Clock, format: Format = "json") -> None:
        self._metrics = metrics
        self._log = request_log
        self._clock = clock
        self.use_format(format)
        if request_log is not None:
            metrics.on_snapshot(self._count_dropped_lines)

    def use_format(self, format: Format) -> None:
        """Write further lines as JSON or for people."""
        self._encode: Callable[[RequestLine], bytes] = _JsonLine() if format == "json" else text_line

    def report(self, exchange: Exchange) -> None:
        """Report a finished exchange. Only queues and adds up; call it once, from a `finally`."""
        timeline = exchange.timeline
        duration_s, overhead_s = timeline.duration_s, timeline.overhead_s
        self._count(exchange, duration_s, overhead_s)
        if self._log is not None:
            self._log.write(self._encode(self._line(exchange, duration_s, overhead_s)))

    def close(self) -> None:
        """Write the queued lines; later requests get none. Blocks, for two seconds at most."""
        if self._log is not None:
            self._log.close()

    def _count(self, exchange: Exchange, duration_s: float, overhead_s: float) -> None:
        metrics, request, attempt = self._metrics, exchange.request, exchange.attempt
        requested = request.model if request is not None else OTHER
        model = metrics.model_label((attempt.model if attempt is not None else "") or requested)
        metrics.requests[model, str(exchange.status)].value += 1
        outcome: str = exchange.outcome
        if outcome == "failed" and exchange.timeline.committed_at and exchange.status < 400:
            outcome = "interrupted"
        metrics.request_outcomes[outcome].value += 1
        metrics.latency_s[model].observe(duration_s)
        metrics.overhead_s.observe(overhead_s)
        metrics.cost_picodollars[model].value += exchange.cost_picodollars
        if exchange.outcome == "abandoned" and exchange.cut is None:
            metrics.client_disconnects.value += 1
        for attempt in exchange.attempts:
            metrics.attempts[attempt.endpoint, attempt.outcome].value += 1
            if attempt.outcome == "failed":
                metrics.attempt_faults[attempt.endpoint, fault_label(attempt)].value += 1
        output_tokens = 0
        if attempt is not None and (usage := attempt.usage) is not None:
            output_tokens = usage.total_output
            metrics.input_tokens[model].value += usage.total_input
            metrics.output_tokens[model].value += output_tokens
        timeline = exchange.timeline
        if timeline.first_content_at and request is not None and request.stream:
            metrics.first_token_s[model].observe(timeline.first_content_at - timeline.received_at)
            if output_tokens > 1:
                spread_s = timeline.last_content_at - timeline.first_content_at
                metrics.per_output_token_s[model].observe(spread_s / (output_tokens - 1))

    def _line(self, exchange: Exchange, duration_s: float, overhead_s: float) -> RequestLine:
        timeline, request, attempt = exchange.timeline, exchange.request, exchange.attempt
        usage = attempt.usage if attempt is not None else None
        error, first_s = exchange.error or exchange.cut, timeline.first_content_at - timeline.received_at
        return RequestLine(
            iso_time(self._clock.wall()),
            exchange.id,
            exchange.principal.tenant,
            exchange.principal.key_id,
            exchange.path,
            exchange.decision.route,
            attempt.pool if attempt is not None else "",
            (attempt.model if attempt is not None else "")
            or (self._metrics.model_label(request.model) if request is not None else ""),
            attempt.provider if attempt is not None else "",
            len(exchange.attempts),
            () if exchange.outcome == "ok" and len(exchange.attempts) == 1 else failed_attempts(exchange.attempts),
            exchange.status,
            exchange.outcome,
            error.error_code if error is not None else None,
            (error.provider_words or None) if isinstance(error, UpstreamError) else None,
            request is not None and request.stream,
            usage.total_input if usage is not None else 0,
            usage.total_output if usage is not None else 0,
            usage is not None and usage.is_estimated,
            exchange.cost_picodollars / PICODOLLARS,
            round(duration_s * 1000, 3),
            round(first_s * 1000, 3) if timeline.first_content_at else None,
            round(overhead_s * 1000, 3),
            round(timeline.waits.get("queue", 0.0) * 1000, 3),
            exchange.degraded or None,
            exchange.meter.bytes_in + (len(request.raw) if request is not None else 0),
            exchange.meter.bytes_out,
            exchange.generation,
        )

    def _count_dropped_lines(self) -> None:
        if self._log is not None:
            self._metrics.log_lines_dropped["request"].value = self._log.dropped


def log_failed_attempt(request_id: str, attempt: AttemptRecord, error: GatewayError) -> Mapping[str, Any]:
    """Log an attempt that has just failed, with the gateway's own words, never the provider's. Return the fields."""
    fault = fault_label(attempt)
    fields: dict[str, Any] = {
        "request_id": request_id,
        "endpoint": attempt.endpoint,
        "fault": fault,
        "error": attempt.code,
        "status": attempt.status,
    }
    if not isinstance(error, Rejected):  # the provider's words on a refused request may quote the prompt
        fields["detail"] = error.message[:DETAIL_CHARS]
    if attempt.fault in NEEDS_OPERATOR:
        level = logging.ERROR
    else:
        level = logging.WARNING if error.hurts_breaker else logging.INFO
    log.log(level, "attempt failed", extra=fields)
    return fields


def fault_label(attempt: AttemptRecord) -> str:
    """Return the fault class of a failed attempt, or the error code where the fault is none of the provider's."""
    return attempt.fault.value if attempt.fault is not None else attempt.code or "internal"


def failed_attempts(attempts: Sequence[AttemptRecord]) -> Sequence[FailedAttempt]:
    """Return the failed ones of the attempts of a request."""
    return [
        FailedAttempt(one.endpoint, fault_label(one), one.status, round((one.ended_at - one.started_at) * 1000, 3))
        for one in attempts
        if one.outcome == "failed"
    ]


class _JsonLine:
    def __init__(self) -> None:
        self._encoder = msgspec.json.Encoder()

    def __call__(self, line: RequestLine) -> bytes:
        return self._encoder.encode(line) + b"\n"


def text_line(line: RequestLine) -> bytes:
    """Return the line for people: time, outcome, route, duration."""
    who = "/".join(name for name in (line.route, line.pool, line.model) if name) or "-"
    error = f" error={line.error}" if line.error else ""
    if line.failed_attempts:
        error += " failed=" + ",".join(f"{one.endpoint}:{one.fault}" for one in line.failed_attempts)
    return (
        f"{line.time} {line.status} {line.outcome} {line.path} {who} {line.duration_ms:.1f} ms"
        f" tokens={line.input_tokens}+{line.output_tokens} attempts={line.attempts}{error} id={line.request_id}\n"
    ).encode(errors="replace")

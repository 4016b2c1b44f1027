"""Every metric the gateway has, declared once. `docs/metrics.md` describes the same list; a test holds them equal."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from gateway.core.money import PICODOLLARS

Kind = Literal["counter", "gauge", "histogram"]
Merge = Literal["sum", "max", "min", "breaker"]

SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SHORT_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
TOKEN_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. `merge`: how a gauge of several processes becomes one (counters and histograms are always added up).

    `buckets`: upper bounds of a histogram, without +Inf. `divisor`: cells count in 1/`divisor` of the unit shown, so
    that money is added up as whole picodollars.
    """

    name: str
    help: str
    kind: Kind
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    merge: Merge = "sum"
    divisor: int = 1


_DECLARED: Final = (
    Family(
        "llm_requests_total",
        "Requests answered, by the client's HTTP status (499: the client left).",
        "counter",
        ("model", "status"),
    ),
    Family(
        "llm_request_latency_seconds",
        "From the arrival of a request to the end of its answer.",
        "histogram",
        ("model",),
        SECONDS,
    ),
    Family("llm_input_tokens_total", "Prompt tokens, cached ones included.", "counter", ("model",)),
    Family("llm_output_tokens_total", "Tokens that models produced.", "counter", ("model",)),
    Family(
        "llm_estimated_cost_dollars_total",
        "What the tokens cost at the configured prices.",
        "counter",
        ("model",),
        divisor=PICODOLLARS,
    ),
    Family("llm_cache_hits_total", "Requests answered from a cache.", "counter"),
    Family("llm_cache_misses_total", "Requests that a cache could not answer.", "counter"),
    Family(
        "llm_circuit_breaker_state",
        "The worst breaker of a provider's endpoints: 0 closed, 1 open, 2 half-open.",
        "gauge",
        ("provider",),
        merge="breaker",
    ),
    Family(
        "gateway_breaker_state",
        "The breaker of an endpoint: 0 closed, 1 open, 2 half-open.",
        "gauge",
        ("endpoint",),
        merge="breaker",
    ),
    Family(
        "gateway_breaker_openings_total",
        "How often the breaker of an endpoint has opened; what opens at a sibling's word is not counted again.",
        "counter",
        ("endpoint",),
    ),
    Family("gateway_endpoint_in_flight", "Requests that run at an endpoint now.", "gauge", ("endpoint",)),
    Family(
        "gateway_endpoint_healthy",
        "Whether active checks find an endpoint well: 1 yes, 0 no; 1 where none are configured.",
        "gauge",
        ("endpoint",),
        merge="min",
    ),
    Family(
        "gateway_endpoint_drained",
        "Whether the operator has drained an endpoint: 1 yes, 0 no.",
        "gauge",
        ("endpoint",),
        merge="max",
    ),
    Family(
        "gateway_time_to_first_token_seconds",
        "From the arrival of a streamed request to its first event.",
        "histogram",
        ("model",),
        SECONDS,
    ),
    Family(
        "gateway_time_per_output_token_seconds",
        "Mean time between the tokens of a stream.",
        "histogram",
        ("model",),
        TOKEN_SECONDS,
    ),
    Family(
        "gateway_overhead_seconds",
        "The part of a request's time that was not spent waiting for providers.",
        "histogram",
        buckets=SHORT_SECONDS,
    ),
    Family(
        "gateway_attempts_total",
        "Tries at an endpoint: ok, failed, or abandoned because the client left.",
        "counter",
        ("endpoint", "outcome"),
    ),
    Family(
        "gateway_fallbacks_total",
        "Requests handed on to a pool because the one before it had no answer.",
        "counter",
        ("pool",),
    ),
    Family(
        "gateway_retries_total",
        "Further attempts in a pool: made, or refused because its retry budget was used up.",
        "counter",
        ("pool", "outcome"),
    ),
    Family("gateway_hedges_total", "Second attempts begun because the first was slow.", "counter", ("pool",)),
    Family("gateway_batches_total", "Calls to providers that were open to several requests.", "counter", ("pool",)),
    Family("gateway_batched_requests_total", "Requests in such calls.", "counter", ("pool",)),
    Family("gateway_pool_in_flight", "Requests that run in a pool with a limit now.", "gauge", ("pool",)),
    Family("gateway_pool_waiting", "Requests that wait for a pool now.", "gauge", ("pool",)),
    Family(
        "gateway_pool_refusals_total",
        "Requests that a full pool did not take: no queue, its queue full, the wait too long, or over.",
        "counter",
        ("pool", "reason"),
    ),
    Family(
        "gateway_queue_seconds",
        "How long requests waited for a pool that was full, and then got their turn.",
        "histogram",
        ("pool",),
        SECONDS,
    ),
    Family("gateway_requests_in_flight", "Requests being served now.", "gauge"),
    Family("gateway_streams_in_flight", "Streams being sent now.", "gauge"),
    Family("gateway_client_disconnects_total", "Clients that left before their answer was complete.", "counter"),
    Family("gateway_config_generation", "The number of the configuration in force.", "gauge", merge="max"),
    Family("gateway_config_last_reload_ok", "Whether the last reload was taken: 1 yes, 0 no.", "gauge", merge="max"),
    Family("gateway_config_reloads_total", "Reloads, by outcome: ok or refused.", "counter", ("outcome",)),
    Family(
        "gateway_condition_errors_total",
        "Conditions that failed while a request was matched; they count as false.",
        "counter",
    ),
    Family(
        "gateway_event_loop_lag_seconds",
        "The longest that an event loop woke up late in the last ten to twenty seconds.",
        "gauge",
        merge="max",
    ),
    Family(
        "gateway_upstream_surplus_total",
        "Connections to providers closed because bytes came on them that nobody had asked for.",
        "counter",
    ),
    Family(
        "gateway_upstream_stale_total",
        "Requests sent once more because a kept connection had been closed, or held something else than an answer.",
        "counter",
    ),
    Family("gateway_log_lines_dropped_total", "Request lines lost because the log could not take them.", "counter"),
    Family("gateway_worker_requests_total", "Requests answered, by the worker's number.", "counter", ("worker",)),
    Family("gateway_worker_restarts_total", "Workers that ended unasked and were replaced.", "counter"),
)

FAMILIES: Final[Mapping[str, Family]] = MappingProxyType({family.name: family for family in _DECLARED})

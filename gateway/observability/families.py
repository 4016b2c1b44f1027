"""The catalogue of metrics: every family of the gateway, declared once. `make docs` writes its table into `docs/metrics.md`."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from gateway.core.money import PICODOLLARS

Kind = Literal["counter", "gauge", "histogram"]
Merge = Literal["sum", "max", "min", "breaker"]

SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
SHORT_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
TOKEN_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. `merge`: how the gauges of several processes are combined; counters and histograms are always summed.

    `buckets`: upper bounds of a histogram, without +Inf. `divisor`: cells count in 1/`divisor` of the exposed unit, so
    that costs are summed as integer picodollars.
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
        "Requests answered, by the HTTP status of the response (499: the client left).",
        "counter",
        ("model", "status"),
    ),
    Family(
        "gateway_request_outcomes_total",
        "Requests by outcome: ok, failed, interrupted (failed after a part of the response was sent), or abandoned "
        "because the client left.",
        "counter",
        ("outcome",),
    ),
    Family(
        "llm_request_latency_seconds",
        "Time from the arrival of a request to the end of its response.",
        "histogram",
        ("model",),
        SECONDS,
    ),
    Family("llm_input_tokens_total", "Prompt tokens, cached ones included.", "counter", ("model",)),
    Family("llm_output_tokens_total", "Output tokens of models.", "counter", ("model",)),
    Family(
        "llm_estimated_cost_dollars_total",
        "Cost of the tokens at the configured prices.",
        "counter",
        ("model",),
        divisor=PICODOLLARS,
    ),
    Family("llm_cache_hits_total", "Requests answered from a cache.", "counter"),
    Family("llm_cache_misses_total", "Requests looked up in a cache without a result.", "counter"),
    Family(
        "llm_circuit_breaker_state",
        "State of the worst breaker among a provider's endpoints: 0 closed, 1 open, 2 half-open.",
        "gauge",
        ("provider",),
        merge="breaker",
    ),
    Family(
        "gateway_breaker_state",
        "State of an endpoint's breaker: 0 closed, 1 open, 2 half-open.",
        "gauge",
        ("endpoint",),
        merge="breaker",
    ),
    Family(
        "gateway_breaker_openings_total",
        "Openings of an endpoint's breaker; an opening copied from another worker is not counted again.",
        "counter",
        ("endpoint",),
    ),
    Family("gateway_endpoint_in_flight", "Requests running at an endpoint now.", "gauge", ("endpoint",)),
    Family(
        "gateway_endpoint_healthy",
        "Result of an endpoint's active health checks: 1 healthy, 0 unhealthy; 1 without checks.",
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
        "Time from the arrival of a streamed request to the first event of its response.",
        "histogram",
        ("model",),
        SECONDS,
    ),
    Family(
        "gateway_time_per_output_token_seconds",
        "Mean time between the output tokens of a stream.",
        "histogram",
        ("model",),
        TOKEN_SECONDS,
    ),
    Family(
        "gateway_overhead_seconds",
        "Time of a request minus the time spent waiting for providers.",
        "histogram",
        buckets=SHORT_SECONDS,
    ),
    Family(
        "gateway_attempts_total",
        "Attempts at an endpoint by outcome: ok, failed, or abandoned because the client left.",
        "counter",
        ("endpoint", "outcome"),
    ),
    Family(
        "gateway_attempt_faults_total",
        "Failed attempts at an endpoint, by fault class.",
        "counter",
        ("endpoint", "fault"),
    ),
    Family(
        "gateway_fallbacks_total",
        "Requests that failed over to a pool because the previous pool failed.",
        "counter",
        ("pool",),
    ),
    Family(
        "gateway_retries_total",
        "Retries in a pool: made, or refused because the retry budget was exhausted.",
        "counter",
        ("pool", "outcome"),
    ),
    Family("gateway_hedges_total", "Second attempts started because the first was slow.", "counter", ("pool",)),
    Family("gateway_batches_total", "Upstream calls that could combine several requests.", "counter", ("pool",)),
    Family("gateway_batched_requests_total", "Requests in batched upstream calls.", "counter", ("pool",)),
    Family("gateway_pool_in_flight", "Requests running in a pool with a limit now.", "gauge", ("pool",)),
    Family("gateway_pool_waiting", "Requests waiting for a pool now.", "gauge", ("pool",)),
    Family(
        "gateway_pool_refusals_total",
        "Requests refused by a full pool: no queue, queue full, expected wait too long, or wait timed out.",
        "counter",
        ("pool", "reason"),
    ),
    Family(
        "gateway_queue_seconds",
        "Time that requests waited in the queue of a full pool before they ran.",
        "histogram",
        ("pool",),
        SECONDS,
    ),
    Family("gateway_requests_in_flight", "Requests being served now.", "gauge"),
    Family("gateway_streams_in_flight", "Streams being sent now.", "gauge"),
    Family(
        "gateway_client_disconnects_total", "Clients that disconnected before the response was complete.", "counter"
    ),
    Family("gateway_config_generation", "Generation number of the active configuration.", "gauge", merge="max"),
    Family("gateway_config_last_reload_ok", "Whether the last reload succeeded: 1 yes, 0 no.", "gauge", merge="max"),
    Family("gateway_config_reloads_total", "Reloads, by outcome: ok or refused.", "counter", ("outcome",)),
    Family(
        "gateway_condition_errors_total",
        "Conditions that raised an error while a request was matched; they count as false.",
        "counter",
    ),
    Family(
        "gateway_event_loop_lag_seconds",
        "Longest delay of an event loop's wake-up in the last ten to twenty seconds.",
        "gauge",
        merge="max",
    ),
    Family(
        "gateway_upstream_surplus_total",
        "Upstream connections closed because the provider sent unsolicited bytes.",
        "counter",
    ),
    Family(
        "gateway_upstream_stale_total",
        "Requests resent because a kept-alive connection was closed or held unexpected bytes.",
        "counter",
    ),
    Family(
        "gateway_log_lines_dropped_total",
        "Log lines dropped because the log was full or failed, by log: request (stdout) or process (stderr).",
        "counter",
        ("log",),
    ),
    Family("gateway_worker_requests_total", "Requests answered, by the worker's number.", "counter", ("worker",)),
    Family("gateway_worker_restarts_total", "Workers that ended unexpectedly and were replaced.", "counter"),
)

FAMILIES: Final[Mapping[str, Family]] = MappingProxyType({family.name: family for family in _DECLARED})


def markdown_table() -> str:
    """Return the catalogue as the table of `docs/metrics.md`."""
    rows = [
        f"| `{family.name}` | {family.kind} | {', '.join(f'`{label}`' for label in family.labels) or '–'} | {family.help} |"
        for family in FAMILIES.values()
    ]
    return "\n".join(("| metric | type | labels | |", "|---|---|---|---|", *rows)) + "\n"


def bucket_list() -> str:
    """Return the buckets of all histograms as the list of `docs/metrics.md`, histograms with the same buckets together."""
    names: dict[tuple[float, ...], list[str]] = {}
    for family in FAMILIES.values():
        if family.buckets:
            names.setdefault(family.buckets, []).append(f"`{family.name}`")
    return "".join(
        f"- {', '.join(same)}: {', '.join(f'{bound:g}' for bound in bounds)}.\n" for bounds, same in names.items()
    )

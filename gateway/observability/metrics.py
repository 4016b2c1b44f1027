"""The metrics of one process: cells that the hot path adds to, and a snapshot of them for the bus.

An update is an attribute or dictionary look-up and an addition: `metrics.requests["gpt-4o", "200"].value += 1`. The first
look-up creates a cell, so callers pass configured names only; `model_label` maps names from clients to those.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Generic, TypeVar, cast

import msgspec

from gateway.observability.families import FAMILIES, Family
from gateway.resilience.breaker import BreakerState

OTHER: Final = "other"  # the label of all models that are not configured

Labels = tuple[str, ...]
Samples = dict[str, dict[Labels, list[int | float]]]

_K = TypeVar("_K", str, tuple[str, str])


class Value:
    """A counter or gauge. Write `value` directly; a counter's must not decrease."""

    __slots__ = ("value",)

    def __init__(self, value: float = 0) -> None:
        self.value: int | float = value


class Histogram:
    """Observations in buckets. `counts` has one entry more than `bounds`, for observations above all bounds."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, amount: float) -> None:
        """Count one observation; an observation equal to a bound belongs to the bucket below that bound."""
        self.counts[bisect_left(self.bounds, amount)] += 1
        self.total += amount


class Values(dict[_K, Value], Generic[_K]):
    """The cells of a labelled counter or gauge, by the value of its label, or by the pair of its two labels."""

    __slots__ = ()

    def __missing__(self, labels: _K) -> Value:
        cell = self[labels] = Value()
        return cell


class Histograms(dict[str, Histogram]):
    """The cells of a histogram with one label, by the label's value."""

    __slots__ = ("_bounds",)

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds

    def __missing__(self, label: str) -> Histogram:
        cell = self[label] = Histogram(self._bounds)
        return cell


_C = TypeVar("_C", bound="Value | Histogram | Values[str] | Values[tuple[str, str]] | Histograms")


class Metrics:
    """Every family of `families.py` as an attribute. One per process, used from its event loop only."""

    def __init__(self) -> None:
        self._cells: dict[str, Value | Histogram | Values[str] | Values[tuple[str, str]] | Histograms] = {}
        self._collectors: list[Callable[[], None]] = []
        self.known_models: frozenset[str] = frozenset()

        self.requests = self.values_by_pair("llm_requests_total")
        self.request_outcomes = self.values("gateway_request_outcomes_total")
        self.latency_s = self.histograms("llm_request_latency_seconds")
        self.input_tokens = self.values("llm_input_tokens_total")
        self.output_tokens = self.values("llm_output_tokens_total")
        self.cost_picodollars = self.values("llm_estimated_cost_dollars_total")
        self.cache_hits = self.value("llm_cache_hits_total")
        self.cache_misses = self.value("llm_cache_misses_total")
        self.provider_breaker = self.values("llm_circuit_breaker_state")
        self.endpoint_breaker = self.values("gateway_breaker_state")
        self.breaker_openings = self.values("gateway_breaker_openings_total")
        self.endpoint_in_flight = self.values("gateway_endpoint_in_flight")
        self.endpoint_healthy = self.values("gateway_endpoint_healthy")
        self.endpoint_drained = self.values("gateway_endpoint_drained")
        self.first_token_s = self.histograms("gateway_time_to_first_token_seconds")
        self.per_output_token_s = self.histograms("gateway_time_per_output_token_seconds")
        self.overhead_s = self.histogram("gateway_overhead_seconds")
        self.attempts = self.values_by_pair("gateway_attempts_total")
        self.attempt_faults = self.values_by_pair("gateway_attempt_faults_total")
        self.fallbacks = self.values("gateway_fallbacks_total")
        self.retries = self.values_by_pair("gateway_retries_total")
        self.hedges = self.values("gateway_hedges_total")
        self.batches = self.values("gateway_batches_total")
        self.batched_requests = self.values("gateway_batched_requests_total")
        self.pool_in_flight = self.values("gateway_pool_in_flight")
        self.pool_waiting = self.values("gateway_pool_waiting")
        self.pool_refusals = self.values_by_pair("gateway_pool_refusals_total")
        self.queue_s = self.histograms("gateway_queue_seconds")
        self.requests_in_flight = self.value("gateway_requests_in_flight")
        self.streams_in_flight = self.value("gateway_streams_in_flight")
        self.client_disconnects = self.value("gateway_client_disconnects_total")
        self.config_generation = self.value("gateway_config_generation")
        self.config_last_reload_ok = self.value("gateway_config_last_reload_ok")
        self.config_reloads = self.values("gateway_config_reloads_total")
        self.condition_errors = self.value("gateway_condition_errors_total")
        self.event_loop_lag_s = self.value("gateway_event_loop_lag_seconds")
        self.upstream_surplus = self.value("gateway_upstream_surplus_total")
        self.upstream_stale = self.value("gateway_upstream_stale_total")
        self.log_lines_dropped = self.values("gateway_log_lines_dropped_total")
        self.worker_requests = self.values("gateway_worker_requests_total")
        self.worker_restarts = self.value("gateway_worker_restarts_total")

        for outcome in ("ok", "refused"):
            self.config_reloads[outcome]
        for log in ("request", "process"):
            self.log_lines_dropped[log]
        for outcome in ("ok", "failed", "interrupted", "abandoned"):
            self.request_outcomes[outcome]

    def configure(self, *, models: Iterable[str], endpoints: Iterable[str], pools: Iterable[str]) -> None:
        """Create the series of the names of a new configuration, at 0. Series of earlier configurations stay."""
        self.known_models = frozenset(models)
        for model in sorted(self.known_models | {OTHER}):
            self.requests[model, "200"]
            for by_model in (self.input_tokens, self.output_tokens, self.cost_picodollars):
                by_model[model]
            for timings in (self.latency_s, self.first_token_s, self.per_output_token_s):
                timings[model]
        for endpoint in endpoints:
            self.breaker_openings[endpoint]
            for outcome in ("ok", "failed", "abandoned"):
                self.attempts[endpoint, outcome]
        for pool in pools:
            for by_pool in (
                self.fallbacks,
                self.hedges,
                self.batches,
                self.batched_requests,
                self.pool_in_flight,
                self.pool_waiting,
            ):
                by_pool[pool]
            self.queue_s[pool]
            for outcome in ("made", "refused"):
                self.retries[pool, outcome]

    def model_label(self, model: str) -> str:
        """Return `model` if it is configured, otherwise `other`."""
        return model if model in self.known_models else OTHER

    def set_breakers(self, states: Iterable[tuple[str, str, BreakerState]]) -> None:
        """Replace the breaker gauges with these (endpoint, provider, state); a provider shows its worst breaker."""
        self.endpoint_breaker.clear()
        self.provider_breaker.clear()
        for endpoint, provider, state in states:
            self.endpoint_breaker[endpoint].value = int(state)
            cell = self.provider_breaker[provider]
            cell.value = worst_breaker((int(cell.value), int(state)))

    def set_endpoints(self, states: Iterable[tuple[str, int, bool, bool]]) -> None:
        """Replace the endpoint gauges with these (id, requests in flight, is healthy, is drained)."""
        for cells in (self.endpoint_in_flight, self.endpoint_healthy, self.endpoint_drained):
            cells.clear()
        for endpoint, in_flight, is_healthy, is_drained in states:
            self.endpoint_in_flight[endpoint].value = in_flight
            self.endpoint_healthy[endpoint].value = int(is_healthy)
            self.endpoint_drained[endpoint].value = int(is_drained)

    def on_snapshot(self, collect: Callable[[], None]) -> None:
        """Call `collect` before every snapshot, to set values that are looked up instead of counted."""
        self._collectors.append(collect)

    def snapshot(self) -> bytes:
        """Return all cells as msgpack of `Samples`: `[value]`, or the counts and the sum of a histogram."""
        for collect in self._collectors:
            collect()
        samples: Samples = {name: {} for name in FAMILIES}
        samples |= {name: dict(_read(FAMILIES[name], cell)) for name, cell in self._cells.items()}
        return msgspec.msgpack.encode(samples)

    # The cells of a family, by its name. A feature keeps the ones that it counts in.

    def value(self, name: str) -> Value:
        """Return the cell of a counter or gauge without labels."""
        return self._cell(name, Value, Value)

    def values(self, name: str) -> Values[str]:
        """Return the cells of a counter or gauge with one label."""
        return self._cell(name, Values[str], Values)

    def values_by_pair(self, name: str) -> Values[tuple[str, str]]:
        """Return the cells of a counter or gauge with two labels."""
        return self._cell(name, Values[tuple[str, str]], Values)

    def histogram(self, name: str) -> Histogram:
        """Return the cell of a histogram without labels."""
        return self._cell(name, lambda: Histogram(FAMILIES[name].buckets), Histogram)

    def histograms(self, name: str) -> Histograms:
        """Return the cells of a histogram with one label."""
        return self._cell(name, lambda: Histograms(FAMILIES[name].buckets), Histograms)

    def _cell(self, name: str, make: Callable[[], _C], kind: type[Any]) -> _C:
        """Return the cells of a family, made on first use. Raises TypeError for cells of another kind."""
        found = self._cells.get(name)
        if found is None:
            made = make()
            self._cells[name] = made
            return made
        if not isinstance(found, kind):
            raise TypeError(f"{name} has cells of the type {type(found).__name__}")
        return cast(_C, found)


def worst_breaker(states: Sequence[int | float]) -> int:
    """Return the worst breaker state as the metrics number it: open, then half-open, then closed."""
    if BreakerState.OPEN in states:
        return BreakerState.OPEN.value
    return int(max(states))


def _read(
    family: Family, cell: Value | Histogram | Values[str] | Values[tuple[str, str]] | Histograms
) -> Iterable[tuple[Labels, list[int | float]]]:
    if not isinstance(cell, dict):
        yield (), _numbers(family, cell)
        return
    for labels, one in cell.items():
        yield (labels,) if isinstance(labels, str) else labels, _numbers(family, one)


def _numbers(family: Family, cell: Value | Histogram) -> list[int | float]:
    if isinstance(cell, Histogram):
        return [*cell.counts, cell.total]
    return [cell.value if family.divisor == 1 else cell.value / family.divisor]

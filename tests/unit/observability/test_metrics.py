"""The cells of one process and the snapshot that it sends."""

import msgspec
import pytest

from gateway.observability.families import FAMILIES
from gateway.observability.metrics import Histogram, Metrics, Samples
from gateway.resilience.breaker import BreakerState


def read(metrics: Metrics) -> Samples:
    return msgspec.msgpack.decode(metrics.snapshot(), type=Samples)


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics()
    metrics.configure(models=["small", "large"], endpoints=["p/small", "p/large"], pools=["cheap"])
    return metrics


def test_every_declared_family_is_in_the_snapshot() -> None:
    assert set(read(Metrics())) == set(FAMILIES)


def test_no_family_is_declared_twice_or_badly() -> None:
    for family in FAMILIES.values():
        assert family.help.endswith(".")
        assert (family.kind == "histogram") == bool(family.buckets)
        assert list(family.buckets) == sorted(set(family.buckets))
        assert family.name.endswith("_total") == (family.kind == "counter")
        assert len(family.labels) <= 2
        assert family.merge == "sum" or family.kind == "gauge"


def test_configured_names_show_from_the_start_at_zero(metrics: Metrics) -> None:
    samples = read(metrics)
    for model in ("small", "large", "other"):
        assert samples["llm_requests_total"][model, "200"] == [0]
        assert samples["llm_input_tokens_total"][model,] == [0]
        assert sum(samples["llm_request_latency_seconds"][model,]) == 0
    assert samples["gateway_attempts_total"]["p/small", "failed"] == [0]
    assert samples["gateway_breaker_openings_total"]["p/large",] == [0]
    assert samples["gateway_fallbacks_total"]["cheap",] == [0]
    assert samples["gateway_config_reloads_total"]["refused",] == [0]


def test_a_counter_counts(metrics: Metrics) -> None:
    metrics.requests["small", "499"].value += 1
    metrics.requests["small", "499"].value += 1
    assert read(metrics)["llm_requests_total"]["small", "499"] == [2]


def test_money_is_counted_whole_and_shown_in_dollars(metrics: Metrics) -> None:
    for _ in range(10):
        metrics.cost_picodollars["small"].value += 100_000_000_000  # ten dimes: as floats not quite a dollar
    assert read(metrics)["llm_estimated_cost_dollars_total"]["small",] == [1.0]


def test_a_bound_belongs_to_the_bucket_below_it() -> None:
    histogram = Histogram((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.2, 1.0, 7.0):
        histogram.observe(seconds)
    assert histogram.counts == [2, 2, 1]
    assert histogram.total == pytest.approx(8.35)


def test_a_new_configuration_keeps_what_was_counted(metrics: Metrics) -> None:
    metrics.requests["small", "200"].value += 3
    metrics.configure(models=["huge"], endpoints=[], pools=[])
    samples = read(metrics)["llm_requests_total"]
    assert samples["small", "200"] == [3]
    assert samples["huge", "200"] == [0]


@pytest.mark.parametrize(("model", "label"), [("small", "small"), ("", "other"), ("other", "other"), ("evil", "other")])
def test_only_configured_models_become_labels(metrics: Metrics, model: str, label: str) -> None:
    assert metrics.model_label(model) == label


def test_breakers_show_each_endpoint_and_the_worst_of_each_provider(metrics: Metrics) -> None:
    metrics.set_breakers(
        [
            ("p/small", "p", BreakerState.HALF_OPEN),
            ("p/large", "p", BreakerState.OPEN),
            ("p/tiny", "p", BreakerState.CLOSED),
            ("q/one", "q", BreakerState.CLOSED),
            ("q/two", "q", BreakerState.HALF_OPEN),
        ]
    )
    samples = read(metrics)
    assert samples["gateway_breaker_state"]["p/small",] == [2]
    assert samples["llm_circuit_breaker_state"] == {("p",): [1], ("q",): [2]}


def test_breakers_of_retired_endpoints_are_gone(metrics: Metrics) -> None:
    metrics.set_breakers([("p/small", "p", BreakerState.OPEN)])
    metrics.set_breakers([("q/one", "q", BreakerState.CLOSED)])
    samples = read(metrics)
    assert samples["gateway_breaker_state"] == {("q/one",): [0]}
    assert samples["llm_circuit_breaker_state"] == {("q",): [0]}


def test_sources_are_asked_before_every_snapshot(metrics: Metrics) -> None:
    def count() -> None:
        metrics.event_loop_lag_s.value += 1

    metrics.on_snapshot(count)
    assert read(metrics)["gateway_event_loop_lag_seconds"][()] == [1]
    assert read(metrics)["gateway_event_loop_lag_seconds"][()] == [2]


def test_endpoints_show_what_runs_there_and_what_keeps_them_out(metrics: Metrics) -> None:
    metrics.set_endpoints([("gone/small", 3, True, True)])
    metrics.set_endpoints([("p/small", 2, False, False), ("q/one", 0, True, True)])
    samples = read(metrics)
    assert samples["gateway_endpoint_in_flight"] == {("p/small",): [2], ("q/one",): [0]}
    assert samples["gateway_endpoint_healthy"] == {("p/small",): [0], ("q/one",): [1]}
    assert samples["gateway_endpoint_drained"] == {("p/small",): [0], ("q/one",): [1]}

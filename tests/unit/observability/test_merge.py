"""Many processes as one: sums that never fall, gauges that do."""

from gateway.observability.families import FAMILIES
from gateway.observability.merge import Merged
from gateway.observability.metrics import Metrics
from gateway.resilience.breaker import BreakerState


def test_without_any_process_every_unlabelled_family_is_at_zero() -> None:
    samples = Merged().samples()
    assert set(samples) == set(FAMILIES)
    assert samples["gateway_requests_in_flight"] == {(): [0]}
    assert samples["gateway_overhead_seconds"] == {(): [0] * (len(FAMILIES["gateway_overhead_seconds"].buckets) + 2)}
    assert samples["llm_requests_total"] == {}


def test_counters_and_histograms_of_all_processes_are_added_up() -> None:
    one, two, merged = Metrics(), Metrics(), Merged()
    one.requests["small", "200"].value += 2
    two.requests["small", "200"].value += 3
    two.requests["small", "500"].value += 1
    one.latency_s["small"].observe(0.2)
    two.latency_s["small"].observe(0.2)
    merged.update("one", one.snapshot())
    merged.update("two", two.snapshot())
    assert merged.samples()["llm_requests_total"] == {("small", "200"): [5], ("small", "500"): [1]}
    assert merged.samples()["llm_request_latency_seconds"]["small",] == [0, 2, *[0] * 11, 0.4]


def test_a_newer_snapshot_takes_the_place_of_the_older() -> None:
    metrics, merged = Metrics(), Merged()
    for _ in range(3):
        metrics.cache_hits.value += 1
        merged.update("one", metrics.snapshot())
    assert merged.samples()["llm_cache_hits_total"] == {(): [3]}


def test_what_an_ended_process_counted_stays() -> None:
    metrics, merged = Metrics(), Merged()
    metrics.requests["small", "200"].value = 7
    metrics.latency_s["small"].observe(3.0)
    metrics.requests_in_flight.value = 4
    metrics.set_breakers([("p/small", "p", BreakerState.OPEN)])
    merged.update("one", metrics.snapshot())
    before = merged.samples()
    merged.retire("one")
    after = merged.samples()
    assert after["llm_requests_total"] == before["llm_requests_total"] != {}
    assert after["llm_request_latency_seconds"] == before["llm_request_latency_seconds"]
    assert after["gateway_requests_in_flight"] == {(): [0]}
    assert after["gateway_breaker_state"] == {}


def test_ended_processes_and_their_successors_are_added_up() -> None:
    merged = Merged()
    for name in ("one", "two", "three"):
        metrics = Metrics()
        metrics.requests["small", "200"].value += 10
        merged.update(name, metrics.snapshot())
        merged.retire(name)
        merged.retire(name)
    assert merged.samples()["llm_requests_total"] == {("small", "200"): [30]}


def test_gauges_merge_as_their_family_says() -> None:
    one, two, merged = Metrics(), Metrics(), Merged()
    one.requests_in_flight.value, two.requests_in_flight.value = 3, 4
    one.event_loop_lag_s.value, two.event_loop_lag_s.value = 0.2, 0.1
    one.set_breakers([("a", "p", BreakerState.OPEN)])
    two.set_breakers([("a", "p", BreakerState.HALF_OPEN)])
    one.set_endpoints([("a", 2, True, False)])
    two.set_endpoints([("a", 1, False, True)])
    merged.update("one", one.snapshot())
    merged.update("two", two.snapshot())
    samples = merged.samples()
    assert samples["gateway_requests_in_flight"] == {(): [7]}
    assert samples["gateway_event_loop_lag_seconds"] == {(): [0.2]}
    assert samples["gateway_breaker_state"] == {("a",): [1]}
    assert samples["gateway_endpoint_in_flight"] == {("a",): [3]}
    assert samples["gateway_endpoint_healthy"] == {("a",): [0]}
    assert samples["gateway_endpoint_drained"] == {("a",): [1]}

"""What takes endpoints out of rotation and brings them back, and the broadcast of it."""

import logging

import pytest

from gateway.config.spec import BreakerSpec
from gateway.observability.metrics import Metrics
from gateway.pools.directory import Directory
from gateway.pools.endpoint import Credential, Endpoint
from gateway.pools.rotation import EndpointRotation, identity_digest, names_of, reason_of
from gateway.resilience.breaker import BreakerState
from tests.support.clock import FakeClock

SPEC = BreakerSpec(failures=2, recovery_s=30.0, successes=1)


class Worker:
    """One worker's endpoints, and what it has broadcast."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.directory = Directory(clock)
        self.metrics = Metrics()
        self.rotation = EndpointRotation(self.directory, clock, self.metrics)
        self.sent: list[tuple[str, str, float]] = []
        self.rotation.broadcast = lambda *news: self.sent.append(news)
        self.follow("a", "b")

    def endpoint(self, model: str, url: str = "http://x") -> Endpoint:
        return self.directory.get(("web", model, url, "k"), "web", model, "k", SPEC)

    def follow(self, *models: str, url: str = "http://x") -> None:
        """Let a configuration with these models serve."""
        endpoints = [self.endpoint(model, url) for model in models]
        self.directory.retain(endpoints, ())
        self.rotation.track(endpoints)

    def open(self, model: str) -> None:
        for _ in range(SPEC.failures):
            permit = self.endpoint(model).breaker.try_acquire()
            assert permit is not None
            permit.fail()

    def succeed(self, model: str) -> None:
        permit = self.endpoint(model).breaker.try_acquire()
        assert permit is not None
        permit.succeed()


@pytest.fixture
def worker(clock: FakeClock) -> Worker:
    return Worker(clock)


@pytest.fixture
def sibling(clock: FakeClock) -> Worker:
    return Worker(clock)


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_an_opening_is_logged_counted_and_broadcast(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        worker.open("a")
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == ("WARNING", "breaker opened")
    assert (record.endpoint, record.failures, record.recovery_s) == ("web/a", 2, 30.0)  # type: ignore[attr-defined]
    assert worker.metrics.breaker_openings["web/a"].value == 1
    assert worker.sent == [(identity_digest(("web", "a", "http://x", "k")), "opened", 30.0)]


def test_an_opening_names_the_failure_that_caused_it(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    failure = {"request_id": "r-1", "endpoint": "web/a", "fault": "idle", "error": "idle_timeout", "status": 200}
    worker.endpoint("a").last_failure = failure
    with caplog.at_level(logging.INFO):
        worker.open("a")
    (record,) = caplog.records
    assert failure.items() <= vars(record).items()


def test_a_breaker_that_closes_begins_its_slow_start(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    worker.open("a")
    worker.clock.advance(30.0)
    assert worker.endpoint("a").recovered_at == 0.0
    with caplog.at_level(logging.INFO):
        worker.succeed("a")
    assert [message for _, message in logged(caplog)] == [
        "breaker opened",
        "breaker is half-open, one probe at a time",
        "breaker closed",
    ]
    assert worker.endpoint("a").recovered_at == worker.clock.monotonic()
    assert worker.endpoint("b").recovered_at == 0.0


def test_a_sibling_opens_too_and_neither_counts_nor_tells_it_again(
    worker: Worker, sibling: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    worker.open("a")
    with caplog.at_level(logging.INFO):
        sibling.rotation.apply_remote(*worker.sent[0])  # type: ignore[arg-type]
    assert sibling.endpoint("a").breaker.state is BreakerState.OPEN
    assert sibling.endpoint("b").breaker.state is BreakerState.CLOSED
    assert (sibling.sent, sibling.metrics.breaker_openings["web/a"].value) == ([], 0)
    assert logged(caplog)[-1] == ("INFO", "breaker opened after that of another worker")


def test_word_of_an_endpoint_at_another_url_means_nothing_though_its_name_is_the_same(
    worker: Worker, sibling: Worker
) -> None:
    sibling.follow("a", "b", url="http://new")
    worker.open("a")
    sibling.rotation.apply_remote(*worker.sent[0])  # type: ignore[arg-type]
    assert sibling.endpoint("a", "http://new").breaker.state is BreakerState.CLOSED


def test_an_endpoint_that_a_reload_has_dropped_broadcasts_nothing(worker: Worker) -> None:
    gone = worker.endpoint("a")
    worker.follow("b")
    for _ in range(2):
        permit = gone.breaker.try_acquire()
        assert permit is not None
        permit.fail()
    assert worker.sent == []
    assert [endpoint.id for endpoint in worker.rotation.endpoints] == ["web/b"]


def test_a_refused_key_rests_at_siblings_for_as_long(worker: Worker, sibling: Worker) -> None:
    worker.directory.mark_key_refused(worker.endpoint("a"), (Credential(),))
    ((identity, kind, rest_s),) = worker.sent
    assert (kind, rest_s > 0) == ("key_refused", True)
    sibling.rotation.apply_remote(identity, "key_refused", rest_s)
    credential = sibling.endpoint("a").credential
    assert credential.is_refused
    assert credential.refused_until == worker.endpoint("a").credential.refused_until > worker.clock.monotonic()
    assert sibling.rotation.reasons_out_of_rotation() == {
        "web/a": "key_refused",
        "web/b": "key_refused",
    }  # they share it


def test_the_last_key_is_marked_at_siblings_and_stays(worker: Worker, sibling: Worker) -> None:
    worker.directory.mark_key_refused(worker.endpoint("a"), ())
    sibling.rotation.apply_remote(*worker.sent[0])  # type: ignore[arg-type]
    assert sibling.endpoint("a").credential.is_refused
    assert sibling.rotation.reasons_out_of_rotation() == {}


def test_a_key_that_is_taken_again_is_back_at_once(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    credential = worker.endpoint("a").credential
    credential.is_refused, credential.refused_until = True, worker.clock.monotonic() + 100
    with caplog.at_level(logging.INFO):
        worker.rotation.mark_key_accepted(worker.endpoint("a"))
        worker.rotation.mark_key_accepted(worker.endpoint("a"))
    assert worker.endpoint("a").is_in_rotation(worker.clock.monotonic())
    assert logged(caplog) == [("INFO", "a provider accepts the gateway's key again")]


@pytest.mark.parametrize(
    ("name", "drained"),
    [("web/a", ["web/a"]), ("web/a#1", ["web/a"]), ("web", ["web/a", "web/b"]), ("a", []), ("web/", [])],
)
def test_drained_is_what_its_name_or_its_providers_names(worker: Worker, name: str, drained: list[str]) -> None:
    worker.rotation.set_drained([name])
    assert [endpoint.id for endpoint in worker.rotation.endpoints if endpoint.is_drained] == drained
    assert worker.rotation.reasons_out_of_rotation() == dict.fromkeys(drained, "drained")


def test_what_a_reload_brings_is_drained_by_its_name_from_the_first_moment(worker: Worker) -> None:
    worker.rotation.set_drained(["web"])
    worker.follow("a", "c")
    assert worker.rotation.reasons_out_of_rotation() == {"web/a": "drained", "web/c": "drained"}


def test_what_is_not_drained_any_more_starts_slowly(worker: Worker) -> None:
    worker.rotation.set_drained(["web/a"])
    worker.clock.advance(5.0)
    worker.rotation.set_drained([])
    assert (worker.endpoint("a").is_drained, worker.endpoint("a").recovered_at) == (False, worker.clock.monotonic())
    assert worker.endpoint("b").recovered_at == 0.0


def test_forgiven_is_all_but_the_breaker(worker: Worker) -> None:
    now = worker.clock.monotonic()
    for endpoint in worker.rotation.endpoints:
        endpoint.resting_until = endpoint.retry_after_until = now + 100
        worker.rotation.set_health(endpoint, is_healthy=False)
    credential = worker.endpoint("a").credential
    credential.is_refused, credential.refused_until = True, now + 100
    worker.open("a")
    worker.rotation.reset(["web/a"])
    assert worker.endpoint("a").is_in_rotation(now)
    assert not credential.is_refused
    assert worker.endpoint("a").breaker.state is BreakerState.OPEN
    assert worker.rotation.reasons_out_of_rotation() == {"web/b": "unhealthy"}


def test_a_change_of_health_is_logged_once(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    endpoint = worker.endpoint("a")
    with caplog.at_level(logging.INFO):
        for is_healthy in (True, False, False, True, True):
            worker.rotation.set_health(endpoint, is_healthy=is_healthy)
    assert logged(caplog) == [
        ("WARNING", "endpoint is unhealthy and gets no more requests"),
        ("INFO", "endpoint is healthy again"),
    ]
    assert endpoint.recovered_at == worker.clock.monotonic()


def test_the_weightiest_reason_shows(worker: Worker) -> None:
    endpoint, now = worker.endpoint("a"), worker.clock.monotonic()
    assert reason_of(endpoint, now) is None
    endpoint.resting_until = now + 1
    assert (reason_of(endpoint, now), reason_of(endpoint, now + 1)) == ("resting", None)
    endpoint.is_healthy = False
    assert reason_of(endpoint, now) == "unhealthy"
    endpoint.credential.refused_until = now + 1
    assert reason_of(endpoint, now) == "key_refused"
    endpoint.is_drained = True
    assert reason_of(endpoint, now) == "drained"


def test_a_number_names_one_of_several_and_the_model_names_all(worker: Worker) -> None:
    second = worker.endpoint("a", "http://y")
    second.id = "web/a#2"  # type: ignore[assignment]
    assert names_of(second) >= {"web/a#2", "web/a", "web"}
    assert "web/a#1" not in names_of(second)
    assert "web/a#1" in names_of(worker.endpoint("a"))


def test_metrics_show_the_endpoints_of_the_configuration_in_force(worker: Worker) -> None:
    worker.endpoint("a").in_flight = 3
    worker.rotation.set_health(worker.endpoint("b"), is_healthy=False)
    worker.rotation.set_drained(["web/a"])
    worker.metrics.snapshot()
    assert {name: cell.value for name, cell in worker.metrics.endpoint_in_flight.items()} == {"web/a": 3, "web/b": 0}
    assert {name: cell.value for name, cell in worker.metrics.endpoint_healthy.items()} == {"web/a": 1, "web/b": 0}
    assert {name: cell.value for name, cell in worker.metrics.endpoint_drained.items()} == {"web/a": 1, "web/b": 0}
    worker.follow("b")
    worker.metrics.snapshot()
    assert set(worker.metrics.endpoint_in_flight) == {"web/b"}

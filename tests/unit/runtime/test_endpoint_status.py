"""What a worker says of its endpoints and pools."""

import pytest

from gateway.runtime.endpoint_status import endpoint_status, pool_status
from gateway.runtime.messages import Mean, PoolStatus
from tests.support.clock import FakeClock
from tests.support.replay import ReplayWorker
from tests.support.serving import OPEN_CONFIG


@pytest.fixture
async def line(clock: FakeClock) -> ReplayWorker:
    return ReplayWorker(OPEN_CONFIG.replace("main: {", "main: {max_inflight: 3, "), clock)


async def test_endpoints_come_in_the_order_of_the_file_with_their_pools(line: ReplayWorker) -> None:
    found = endpoint_status(line.services)
    assert [(one.endpoint, one.provider, one.model, one.pools) for one in found] == [
        ("a/m-a", "a", "m-a", ("main",)),
        ("b/m-b", "b", "m-b", ("main",)),
        ("a/mock-*", "a", "mock-*", ()),
    ]


async def test_an_endpoint_is_told_as_it_stands(line: ReplayWorker, clock: FakeClock) -> None:
    endpoint, now = line.endpoints["a/m-a"], clock.monotonic()
    endpoint.in_flight = 2
    endpoint.resting_until = now + 4.0
    endpoint.is_healthy, endpoint.is_drained, endpoint.credential.is_refused = False, True, True
    endpoint.first_token_s.observe(0.5, now)
    endpoint.failures.observe(1.0, now)
    for _ in range(5):
        permit = endpoint.breaker.try_acquire()
        assert permit is not None
        permit.fail()
    found, fresh, _ = endpoint_status(line.services)
    assert (found.state, found.retry_in_s, found.in_flight, found.resting_s) == ("open", 30.0, 2, 4.0)
    assert (found.is_healthy, found.is_drained, found.key_refused) == (False, True, True)
    assert (found.first_token_s, found.answer_s, found.error_rate) == (Mean(0.5, 1.0), Mean(), Mean(1.0, 1.0))
    assert (fresh.state, fresh.retry_in_s, fresh.resting_s, fresh.is_healthy) == ("closed", 0.0, 0.0, True)


async def test_pools_tell_what_runs_and_waits(line: ReplayWorker) -> None:
    limiter = line.services.directory.pool("main").limiter
    assert limiter.try_acquire()
    assert pool_status(line.services) == (PoolStatus("main", 1, 0, 3),)

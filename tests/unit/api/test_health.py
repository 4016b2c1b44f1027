"""What orchestrators are told."""

import pytest

from gateway.api.health import health, ready
from tests.support.clock import FakeClock
from tests.support.replay import ReplayWorker
from tests.support.serving import OPEN_CONFIG, Serving

CHILD = (
    OPEN_CONFIG.replace("  b: {", "  own: {kind: simulator}\n  b: {")
    .replace("  m-b: {", "  m-own: {provider: own, price: {input: 0, output: 0}, quality: 0.1}\n  m-b: {")
    .replace("members: [m-a,", "members: [m-own, m-a,")
)


@pytest.fixture
async def line(clock: FakeClock) -> ReplayWorker:
    return ReplayWorker(CHILD, clock)


async def test_all_circuits_closed_is_healthy(line: ReplayWorker) -> None:
    found = health(line.services)
    assert found["status"] == "healthy"
    assert found["circuits"] == dict.fromkeys(["own/m-own", "a/m-a", "b/m-b", "a/mock-*"], "closed")


async def test_an_open_circuit_is_degraded(line: ReplayWorker) -> None:
    for _ in range(5):
        permit = line.endpoints["b/m-b"].breaker.try_acquire()
        assert permit is not None
        permit.fail()
    found = health(line.services)
    assert (found["status"], found["circuits"]["b/m-b"]) == ("degraded", "open")


async def test_one_that_checks_find_ill_is_degraded(line: ReplayWorker) -> None:
    line.services.rotation.set_health(line.endpoints["b/m-b"], is_healthy=False)
    found = health(line.services)
    assert (found["status"], found["out"]) == ("degraded", {"b/m-b": "unhealthy"})


async def test_what_the_operator_drained_or_a_provider_sent_to_rest_is_out_and_no_illness(line: ReplayWorker) -> None:
    line.services.rotation.set_drained(["b"])
    line.endpoints["a/m-a"].resting_until = line.services.clock.monotonic() + 5
    found = health(line.services)
    assert (found["status"], found["out"]) == ("healthy", {"b/m-b": "drained", "a/m-a": "resting"})


async def test_a_server_that_is_down_is_degraded(line: ReplayWorker) -> None:
    line.services.child_changed("own", "down")
    assert (health(line.services)["status"], health(line.services)["down"]) == ("degraded", ["own"])


async def test_ready_is_at_once_and_says_what_warms_up(line: ReplayWorker) -> None:
    line.services.child_changed("own", "warming")
    assert ready(line.services) == (200, {"ready": True, "warming": ["own"], "config": 1})


async def test_ready_is_over_when_draining_begins(line: ReplayWorker) -> None:
    line.services.draining = True
    assert ready(line.services) == (503, {"ready": False, "warming": [], "config": 1})


@pytest.mark.parametrize("path", ["/health", "/ready"])
async def test_head_is_answered_like_get_without_a_body(serving: Serving, path: str) -> None:
    async with serving.connect() as client:
        client.request("GET", path)
        got = await client.read_answer()
        client.request("HEAD", path)
        head = await client.read_answer(is_head=True)
        assert (got.status, head.status) == (200, 200)
        assert head.header("content-length") == got.header("content-length")
        assert int(got.header("content-length") or 0) > 0
        client.request("GET", path)  # nothing of a body lies in between
        assert (await client.read_answer()).json() == got.json()

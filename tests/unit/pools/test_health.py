"""Active checks: who is asked, when, and what an answer changes."""

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from gateway.config.spec import BreakerSpec, HealthSpec, ModelSpec, PriceSpec, ProviderSpec, RetrySpec
from gateway.core.errors import ProtocolError, Unavailable
from gateway.core.secret import Secret
from gateway.core.tasks import Tasks
from gateway.observability.metrics import Metrics
from gateway.pools.directory import KEY_REST_S, Directory
from gateway.pools.health import HealthChecks
from gateway.pools.rotation import EndpointRotation
from gateway.pools.target import Target
from gateway.providers import load_kinds
from gateway.providers.base import KINDS
from gateway.providers.transport import Transport, WireRequest
from gateway.resilience.timeouts import Timeouts
from tests.support.clock import FakeClock
from tests.support.loops import in_virtual_time
from tests.support.upstream import Peer, ok, upstream

SPEC = HealthSpec(every_s=10.0, timeout_s=1.0, failures=2)
UNAVAILABLE = Unavailable("refused")
SILENCE = None
Play = int | Exception | None  # a status, a fault, or nothing at all


class Answer:
    """A head and an empty body."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.is_closed = False

    def attach(self, sink: Any) -> None:
        sink.finish(ProtocolError("its body is broken") if self.status == 299 else None)

    def close(self) -> None:
        self.is_closed = True


class Line:
    """Endpoints, their checks, and a transport that plays: for each host its plays in turn, the last again and again."""

    def __init__(self) -> None:
        load_kinds()
        self.clock = FakeClock()
        self.tasks = Tasks()
        self.directory = Directory(self.clock)
        self.rotation = EndpointRotation(self.directory, self.clock, Metrics())
        self.checks = HealthChecks(self, self.directory, self.rotation, self.tasks, random.Random(1))  # type: ignore[arg-type]
        self.plays: dict[str, list[Play]] = {}
        self.calls: list[tuple[float, WireRequest]] = []
        self.answers: list[Answer] = []

    async def send(self, call: WireRequest) -> Answer:
        self.calls.append((asyncio.get_running_loop().time(), call))
        plays = self.plays[call.origin.host]
        play = plays.pop(0) if len(plays) > 1 else plays[0]
        if play is None:
            await asyncio.Event().wait()
        if isinstance(play, Exception):
            raise play
        assert play is not None
        self.answers.append(Answer(play))
        return self.answers[-1]

    def target(self, host: str = "a", model: str = "m", key: str = "", kind: str = "openai") -> Target:
        provider = KINDS[kind](ProviderSpec("web", kind, f"http://{host}/v1", key=Secret(key) if key else None))
        endpoint = self.directory.get(("web", model, host, key), "web", model, key, BreakerSpec())
        settings = ModelSpec(model, "web", model, PriceSpec(1, 1), 0.5)
        return Target(endpoint, provider, settings, Timeouts(), b"", RetrySpec())

    def follow(self, *targets: Target, spec: HealthSpec | None = SPEC) -> None:
        self.rotation.track([target.endpoint for target in targets])
        self.checks.track((target, spec) for target in targets)

    @property
    def hosts(self) -> list[str]:
        return [call.origin.host for _, call in self.calls]

    @property
    def moments(self) -> list[float]:
        return [moment for moment, _ in self.calls]


def in_turn(*plays: Play) -> list[Play]:
    return list(plays)


@in_virtual_time
async def test_the_first_check_comes_soon_and_the_others_in_their_rhythm() -> None:
    line = Line()
    line.plays["a"] = [200]
    began_at = asyncio.get_running_loop().time()
    line.follow(line.target())
    await asyncio.sleep(100)
    assert line.moments[0] - began_at <= 1.0
    pauses = [later - earlier for earlier, later in zip(line.moments, line.moments[1:], strict=False)]
    assert len(pauses) in (8, 9, 10)
    assert all(9.0 <= pause <= 11.0 for pause in pauses)
    assert len(set(pauses)) == len(pauses)
    await line.tasks.close()


@in_virtual_time
async def test_the_check_request_costs_nothing() -> None:
    line = Line()
    line.plays["a"] = [200]
    line.follow(line.target(key="k-1"))
    await asyncio.sleep(2)
    ((_, call),) = line.calls
    head, _, rest = call.head.decode().partition("\r\n")
    assert head == "GET /v1/models HTTP/1.1"
    assert "authorization: Bearer k-1\r\n" in rest
    assert "content-" not in rest
    assert rest.endswith("\r\n\r\n")
    assert (call.body, call.is_stream) == (b"", False)
    assert line.answers[0].is_closed
    await line.tasks.close()


@in_virtual_time
async def test_a_configured_path_is_below_the_host() -> None:
    line = Line()
    line.plays["a"] = [200]
    line.follow(line.target(), spec=HealthSpec("/health"))
    await asyncio.sleep(2)
    assert line.calls[0][1].head.startswith(b"GET /health HTTP/1.1\r\n")
    await line.tasks.close()


@in_virtual_time
async def test_a_kind_without_a_free_request_is_not_checked() -> None:
    line = Line()
    line.follow(line.target(kind="simulator"))
    await asyncio.sleep(100)
    assert line.calls == []
    await line.tasks.close()


@pytest.mark.parametrize("fault", [500, 503, UNAVAILABLE, ProtocolError("garbage"), SILENCE], ids=str)
def test_failures_in_a_row_make_it_unhealthy_and_one_answer_healthy(fault: Play) -> None:
    @in_virtual_time
    async def run() -> None:
        line = Line()
        line.plays["a"] = in_turn(fault, 200, fault, fault, fault, 200)
        target = line.target()
        line.follow(target)
        seen = []
        for count in range(1, 7):
            while len(line.calls) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            await asyncio.sleep(1.5)
            seen.append(target.endpoint.is_healthy)
        assert seen == [True, True, True, False, False, True]
        assert target.endpoint.recovered_at == line.clock.monotonic()
        await line.tasks.close()

    run()


@pytest.mark.parametrize("status", [200, 204, 299, 301, 400, 404, 405, 429])
def test_any_response_below_500_means_healthy(status: int) -> None:
    @in_virtual_time
    async def run() -> None:
        line = Line()
        line.plays["a"] = [status]
        target = line.target()
        line.follow(target)
        line.rotation.set_health(target.endpoint, is_healthy=False)
        await asyncio.sleep(2)
        assert target.endpoint.is_healthy
        await line.tasks.close()

    run()


@in_virtual_time
async def test_silence_is_cut_when_its_time_is_over() -> None:
    line = Line()
    line.plays["a"] = [SILENCE]
    target = line.target()
    line.follow(target)
    await asyncio.sleep(15)
    assert len(line.calls) == 2
    assert not target.endpoint.is_healthy  # a second after the second question
    await line.tasks.close()


@in_virtual_time
async def test_one_question_serves_all_endpoints_of_a_provider_url_and_key() -> None:
    line = Line()
    line.plays |= {"a": [503], "b": [200]}
    targets = [line.target(model="m"), line.target(model="n"), line.target(model="m")]
    elsewhere = line.target("b")
    line.follow(*targets, elsewhere, line.target("b", key="k"))
    await asyncio.sleep(1.5)
    assert sorted(line.hosts) == ["a", "b", "b"]
    await asyncio.sleep(15)
    assert [target.endpoint.is_healthy for target in (*targets, elsewhere)] == [False, False, False, True]
    await line.tasks.close()


def with_others(*targets: Target) -> Sequence[Target]:
    """Tell each target of the others' keys, as a provider with several keys has them."""
    keys = [target.endpoint.credential for target in targets]
    return [
        replace(target, other_keys=tuple(key for key in keys if key is not target.endpoint.credential))
        for target in targets
    ]


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_rests_while_another_is_left_and_comes_back(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    @in_virtual_time
    async def run() -> None:
        line = Line()
        line.plays |= {"a": in_turn(status, status, 200), "b": [200]}
        first, second = with_others(line.target("a", key="one"), line.target("b", key="two"))
        line.follow(first, second)
        await asyncio.sleep(1.5)
        now = line.clock.monotonic()
        assert first.endpoint.is_healthy
        assert first.endpoint.credential.refused_until == now + KEY_REST_S
        assert second.endpoint.is_in_rotation(now)
        await asyncio.sleep(12)
        assert [message for level, message in logged(caplog) if level == "ERROR"] == [
            "a provider refuses the gateway's key"
        ]
        await asyncio.sleep(12)
        assert first.endpoint.is_in_rotation(now)
        assert not first.endpoint.credential.is_refused
        await line.tasks.close()

    with caplog.at_level(logging.INFO):
        run()
    assert logged(caplog)[-1] == ("INFO", "a provider accepts the gateway's key again")


@in_virtual_time
async def test_the_last_key_stays_in_use() -> None:
    line = Line()
    line.plays["a"] = [401]
    target = line.target(key="one")
    line.follow(target)
    await asyncio.sleep(2)
    assert target.endpoint.credential.is_refused
    assert target.endpoint.is_in_rotation(line.clock.monotonic())
    await line.tasks.close()


@in_virtual_time
async def test_a_path_that_may_need_no_key_gives_none_back() -> None:
    line = Line()
    line.plays["a"] = [200]
    target = line.target(key="one")
    target.endpoint.credential.is_refused = True
    line.follow(target, spec=HealthSpec("/health"))
    await asyncio.sleep(2)
    assert target.endpoint.credential.is_refused
    await line.tasks.close()


@in_virtual_time
async def test_a_reload_leaves_alone_what_has_not_changed() -> None:
    line = Line()
    line.plays |= {"a": [503], "b": [200]}
    target, other = line.target(), line.target("b")
    line.follow(target, other)
    await asyncio.sleep(5)
    assert sorted(line.hosts) == ["a", "b"]
    line.follow(target, line.target(model="new"))
    await asyncio.sleep(3)
    assert sorted(line.hosts) == ["a", "b"]  # the rhythm goes on, and the other is not asked any more
    await asyncio.sleep(5)
    assert line.hosts.count("a") == 2
    assert line.hosts.count("b") == 1
    assert not target.endpoint.is_healthy  # the failure before the reload counts
    assert not line.target(model="new").endpoint.is_healthy
    await line.tasks.close()


@in_virtual_time
async def test_a_changed_rhythm_is_a_new_check() -> None:
    line = Line()
    line.plays["a"] = [200]
    line.follow(line.target())
    await asyncio.sleep(2)
    line.follow(line.target(), spec=HealthSpec(every_s=100.0))
    await asyncio.sleep(50)
    assert len(line.calls) == 2
    await line.tasks.close()


@in_virtual_time
async def test_without_a_check_everybody_is_healthy() -> None:
    line = Line()
    line.plays["a"] = [503]
    target = line.target()
    line.follow(target)
    await asyncio.sleep(15)
    assert not target.endpoint.is_healthy
    line.follow(target, spec=None)
    assert target.endpoint.is_healthy
    asked = len(line.calls)
    await asyncio.sleep(50)
    assert len(line.calls) == asked
    await line.tasks.close()


@in_virtual_time
async def test_checks_end_with_their_owner() -> None:
    line = Line()
    line.plays["a"] = [SILENCE]
    line.follow(line.target())
    await asyncio.sleep(1.2)
    await line.tasks.close()
    asked = len(line.calls)
    await asyncio.sleep(100)
    assert len(line.calls) == asked
    assert len(asyncio.all_tasks()) == 1


async def test_a_real_provider_is_checked_over_one_connection() -> None:
    heads: list[bytes] = []
    answers = iter([ok(b'{"data": []}'), ok(b"busy").replace(b"200 OK", b"503 Full"), ok(b'{"data": []}')])

    async def script(peer: Peer) -> None:
        for answer in answers:
            heads.append(await peer.reader.readuntil(b"\r\n\r\n"))
            await peer.send(answer)

    async with upstream(script) as provider:
        line = Line()
        transport = Transport()
        checks = HealthChecks(transport, line.directory, line.rotation, line.tasks, random.Random(2))
        target = line.target(f"127.0.0.1:{provider.origin.port}")
        line.rotation.track([target.endpoint])
        checks.track([(target, HealthSpec(every_s=0.02, timeout_s=5.0, failures=1))])
        async with asyncio.timeout(10):
            while target.endpoint.is_healthy:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            while not target.endpoint.is_healthy:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        await line.tasks.close()
        transport.close()
    assert len(heads) == 3
    assert len(provider.peers) == 1
    assert all(head.startswith(b"GET /v1/models HTTP/1.1\r\n") for head in heads)

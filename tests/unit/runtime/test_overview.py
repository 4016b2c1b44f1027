"""What several workers say becomes one picture."""

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.core.errors import NoCapacity, NotFound
from gateway.observability.merge import Merged
from gateway.observability.metrics import Metrics
from gateway.runtime.messages import Endpoints, EndpointStatus, Health, Mean
from gateway.runtime.overview import Overview, worst_circuits


class Workers:
    """Two workers that say what is set for them, and keep what they are told."""

    wanted = active = 2

    def __init__(self) -> None:
        self.merged = Merged()
        self.metrics = Metrics()
        self.answers = [Endpoints(0, (figures("web/big"), figures("own/tiny")), ())] * 2
        self.health_answers = [Health(0, {"web/big": "closed"}, 1), Health(0, {"web/big": "closed"}, 2)]
        self.told: list[tuple[tuple[str, ...], tuple[str, ...]]] = []

    async def endpoints(self) -> list[Endpoints]:
        return self.answers

    async def collect_metrics(self) -> None:
        self.merged.update("one", self.metrics.snapshot())

    async def health(self) -> list[Health]:
        return self.health_answers

    async def drain(self, names: tuple[str, ...], forgiven: tuple[str, ...]) -> int:
        self.told.append((names, forgiven))
        return 2

    def pids(self) -> list[int]:
        return [1, 2]


def figures(name: str) -> EndpointStatus:
    provider, _, model = name.partition("/")
    means = Mean(), Mean(), Mean()
    return EndpointStatus(name, provider, model, (), "closed", 0.0, 1, *means, False, True, False, 0.0)


@pytest.fixture
def workers() -> Workers:
    return Workers()


@pytest.fixture
def overview(workers: Workers) -> Overview:
    parts: dict[str, Any] = {
        "workers": workers,
        "children": SimpleNamespace(conditions=lambda: {"own": "up"}),
        "reloader": None,
        "merged": workers.merged,
        "own": Metrics(),
        "is_stopping": lambda: False,
    }
    return Overview(**parts)


def test_the_worst_state_of_each_circuit_shows() -> None:
    parts = [
        {"a": "closed", "b": "half_open", "c": "closed"},
        {"a": "half_open", "b": "open", "d": "open"},
        {"b": "closed", "c": "closed"},
    ]
    assert worst_circuits(parts) == {"a": "half_open", "b": "open", "c": "closed", "d": "open"}


def test_without_workers_there_are_no_circuits() -> None:
    assert worst_circuits([]) == {}


async def test_attempts_are_those_of_all_workers_ended_ones_included(overview: Overview, workers: Workers) -> None:
    ended = Metrics()
    ended.attempts["web/big", "failed"].value = 5
    workers.merged.update("ended", ended.snapshot())
    workers.merged.retire("ended")
    workers.metrics.attempts["web/big", "ok"].value = 7
    big, tiny = (await overview.endpoints())["endpoints"]
    assert (big["endpoint"], big["attempts"], big["failures"], big["in_flight"]) == ("web/big", 12, 5, 2)
    assert (tiny["endpoint"], tiny["attempts"]) == ("own/tiny", 0)


async def test_a_drain_tells_the_whole_list_an_enabling_what_is_forgiven(overview: Overview, workers: Workers) -> None:
    assert await overview.drain("web") == {"endpoints": ["web/big"], "active": 2, "workers": 2}
    await overview.drain("own/tiny")
    assert (await overview.enable("web/big"))["endpoints"] == ["web/big"]
    assert workers.told == [(("web",), ()), (("web", "own/tiny"), ()), (("own/tiny",), ("web/big",))]


@pytest.mark.parametrize(
    ("name", "hint"), [("web/bug", "; did you mean 'web/big'?"), ("wob", "; did you mean 'web'?"), ("#!", "")]
)
async def test_an_unknown_name_is_not_found_and_nobody_is_told(
    overview: Overview, workers: Workers, name: str, hint: str
) -> None:
    for turn in (overview.drain, overview.enable):
        with pytest.raises(NotFound) as raised:
            await turn(name)
        assert raised.value.message == f"there is no endpoint or provider {name!r}{hint}"
    assert workers.told == []


async def test_without_a_worker_that_answers_nothing_is_turned(overview: Overview, workers: Workers) -> None:
    workers.answers = []
    with pytest.raises(NoCapacity):
        await overview.drain("web")


@pytest.mark.parametrize(
    ("out", "status"),
    [({}, "healthy"), ({"web/big": "drained"}, "healthy"), ({"web/big": "resting"}, "healthy"),
     ({"web/big": "unhealthy"}, "degraded"), ({"web/big": "key_refused"}, "degraded")],
)  # fmt: skip
async def test_what_is_ill_in_one_worker_is_degraded(
    overview: Overview, workers: Workers, out: dict[str, str], status: str
) -> None:
    workers.health_answers[0] = Health(0, {"web/big": "closed"}, 1, out)
    found = await overview.health()
    assert (found["status"], found["out"], found["in_flight"]) == (status, out, 3)

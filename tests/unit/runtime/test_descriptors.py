"""The limit of descriptors is raised as far as it goes, and clients get less than half of it."""

import resource

import pytest

from gateway.runtime.descriptors import FEWEST_CONNECTIONS, most_connections, raise_limit


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, int]]:
    state = {"now": (1024, 4096)}
    monkeypatch.setattr(resource, "getrlimit", lambda which: state["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: state.update(now=limits))
    return state


def test_the_soft_limit_is_raised_to_the_hard_one(limit: dict[str, tuple[int, int]]) -> None:
    raise_limit()
    assert limit["now"] == (4096, 4096)


@pytest.mark.parametrize(
    ("soft", "expected"), [(4096, 2016), (64, FEWEST_CONNECTIONS), (resource.RLIM_INFINITY, 2**19 - 32)]
)
def test_every_connection_leaves_room_for_one_to_a_provider(
    limit: dict[str, tuple[int, int]], soft: int, expected: int
) -> None:
    limit["now"] = (soft, soft)
    assert most_connections() == expected

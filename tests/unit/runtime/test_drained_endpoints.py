"""What is drained by name, and what is left of it."""

import pytest

from gateway.pools.rotation import names_for
from gateway.runtime.drained_endpoints import DrainedEndpoints, UnknownName
from gateway.runtime.messages import EndpointStatus, Mean


def figures(*ids: str) -> list[EndpointStatus]:
    """Give endpoints by their ids."""
    return [
        EndpointStatus(
            one,
            one.split("/")[0],
            one.split("/")[1].split("#")[0],
            (),
            "closed",
            0.0,
            0,
            Mean(),
            Mean(),
            Mean(),
            False,
            True,
            False,
            0.0,
        )
        for one in ids
    ]


KNOWN = figures("web/big", "web/big#2", "web/small", "own/tiny")


def covered(drained: DrainedEndpoints, known: list[EndpointStatus] = KNOWN) -> list[str]:
    """Give what a worker would drain."""
    names = set(drained.names)
    return [one.endpoint for one in known if names & names_for(one.endpoint, one.provider, one.model)]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("own/tiny", ["own/tiny"]),
        ("web", ["web/big", "web/big#2", "web/small"]),
        ("web/big", ["web/big", "web/big#2"]),
        ("web/big#1", ["web/big"]),
        ("web/big#2", ["web/big#2"]),
    ],
)
def test_a_name_stands_for_an_endpoint_a_model_or_a_provider(name: str, meant: list[str]) -> None:
    drained = DrainedEndpoints()
    assert drained.add(name, KNOWN) == meant
    assert covered(drained) == meant
    assert drained.add(name, KNOWN) == meant
    assert drained.names == (name,)
    assert drained.remove(name, KNOWN) == meant
    assert drained.names == ()


def test_an_unknown_name_changes_nothing() -> None:
    drained = DrainedEndpoints()
    drained.add("own", KNOWN)
    for turn in (drained.add, drained.remove):
        with pytest.raises(UnknownName):
            turn("nobody", KNOWN)
    assert drained.names == ("own",)


def test_enabling_a_part_leaves_the_rest_drained() -> None:
    drained = DrainedEndpoints()
    drained.add("web", KNOWN)
    assert drained.remove("web/big#2", KNOWN) == ["web/big#2"]
    assert covered(drained) == ["web/big", "web/small"]
    assert drained.remove("web/big", KNOWN) == ["web/big", "web/big#2"]
    assert covered(drained) == ["web/small"]


def test_enabling_the_whole_enables_its_parts() -> None:
    drained = DrainedEndpoints()
    for name in ("web/big#2", "web/small", "own"):
        drained.add(name, KNOWN)
    drained.remove("web", KNOWN)
    assert drained.names == ("own",)


def test_a_drained_provider_is_drained_with_what_a_reload_adds() -> None:
    drained = DrainedEndpoints()
    drained.add("own", KNOWN)
    assert covered(drained, figures("own/tiny", "own/new")) == ["own/tiny", "own/new"]


def test_what_a_reload_has_dropped_stays_drained_until_it_is_enabled() -> None:
    drained = DrainedEndpoints()
    drained.add("own/tiny", KNOWN)
    later = figures("web/big")
    assert drained.add("web", later) == ["web/big"]
    assert drained.names == ("own/tiny", "web")
    assert drained.remove("own/tiny", later) == []
    assert drained.names == ("web",)

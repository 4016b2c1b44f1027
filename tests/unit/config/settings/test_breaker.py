"""An endpoint has one breaker, however many pools list its model."""

import pytest

from tests.unit.config.conftest import Files, config

MODELS = "models: {{m: {{provider: local, price: {{input: 0, output: 0}}{of_m}}}, n: {{provider: local, price: {{input: 0, output: 0}}}}}}"


def errors(files: Files, *pools: str, of_m: str = "", **sections: str) -> list[str]:
    """Give what is wrong with pools that have these settings, named a, b, …"""
    named = ", ".join(f"{name}: {{{pool}}}" for name, pool in zip("abc", pools, strict=False))
    return files.errors(config(models=MODELS.format(of_m=of_m), pools=f"pools: {{{named}}}", **sections))


def said(place: str, pool: str, other: str) -> str:
    told = f'gives model "m" another breaker than pool "{other}" does; an endpoint has one: give it at the model'
    return f"{place}: pools.{pool}.breaker: {told}"


def test_two_pools_that_disagree_are_both_named(files: Files) -> None:
    found = errors(files, "members: [m], breaker: {failures: 2}", "members: [n, m], breaker: {failures: 3}")
    assert found == [said("5:73", "b", "a")]


def test_every_pool_that_disagrees_is_told(files: Files) -> None:
    found = errors(
        files,
        "members: [m], breaker: {recovery: 5s}",
        "members: [m], breaker: none",
        "members: [{model: m, weight: 2}], breaker: {}",
        defaults="defaults: {balance: weighted}",
    )
    assert [one.split(": ")[1] for one in found] == ["pools.b.breaker", "pools.c.breaker"]


@pytest.mark.parametrize(
    ("pools", "of_m", "defaults"),
    [
        (("members: [m], breaker: {failures: 2}", "members: [m]"), "", ""),  # who says nothing takes what is said
        (("members: [m], breaker: {failures: 2}", "members: [n], breaker: none"), "", ""),
        (("members: [m], breaker: {failures: 2}", "members: [m], breaker: {failures: 2, recovery: 30s}"), "", ""),
        (("members: [m], breaker: {failures: 2}", "members: [m], breaker: {}"), ", breaker: {failures: 2}", ""),
        (("members: [m], breaker: {failures: 5}", "members: [m], breaker: {slow_start: 10s}"), "", "breaker: none"),
    ],
)
def test_what_comes_to_the_same_is_no_disagreement(
    files: Files, pools: tuple[str, ...], of_m: str, defaults: str
) -> None:
    assert errors(files, *pools, of_m=of_m, more=f"defaults: {{{defaults}}}") == []


def test_what_is_broken_disagrees_with_nothing(files: Files) -> None:
    found = errors(files, "members: [m], breaker: {failures: 2}", "members: [m], breaker: 5")
    assert found == [
        '5:79: pools.b.breaker: must be a mapping (failures, recovery, successes, slow_start), or "none" (got "5")'
    ]
    found = errors(files, "members: [m], breaker: {failures: 2}", "members: [mm], breaker: none")
    assert found == ['5:66: pools.b.members[0]: there is no model "mm"; did you mean "m"?']

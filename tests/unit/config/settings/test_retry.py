"""Pauses between attempts grow: `backoff` is where they begin, `backoff_cap` where they end."""

import pytest

from tests.unit.config.conftest import SECTIONS, Files, config

LONGER = "is longer than backoff_cap, which is {}; pauses grow from backoff to backoff_cap"
SHORTER = "is shorter than backoff, which is {}; pauses grow from backoff to backoff_cap"


def retry(said: str) -> str:
    return f"retry: {{{said}}}"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("backoff: 3s", "defaults.retry.backoff: " + LONGER.format("2s")),
        ("backoff: 3s, backoff_cap: 500ms", "defaults.retry.backoff: " + LONGER.format("0.5s")),
        ("backoff_cap: 50ms", "defaults.retry.backoff_cap: " + SHORTER.format("0.1s")),
    ],
)
def test_pauses_that_would_shrink_are_refused_where_they_are_said(files: Files, said: str, message: str) -> None:
    (error,) = files.errors(config(defaults=f"defaults: {{{retry(said)}}}"))
    assert error.partition(": ")[2] == message


@pytest.mark.parametrize("said", ["backoff: 2s", "backoff: 3s, backoff_cap: 3s", "backoff_cap: 100ms", "attempts: 2"])
def test_pauses_that_grow_or_stay_are_fine(files: Files, said: str) -> None:
    assert files.errors(config(defaults=f"defaults: {{{retry(said)}}}")) == []


@pytest.mark.parametrize(
    ("sections", "path"),
    [
        ({"providers": SECTIONS["providers"].replace("llamacpp", "llamacpp, retry: {backoff: 3s}")}, "providers.local"),
        ({"models": SECTIONS["models"].replace("local,", "local, retry: {backoff: 3s},")}, "models.m"),
        ({"pools": "pools: {p: {members: [m], retry: {backoff: 3s}}}"}, "pools.p"),
        ({"routes": SECTIONS["routes"].replace("to: m", "to: m, retry: {backoff: 3s}")}, "routes[0]"),
    ],
)
def test_every_level_is_held_against_the_defaults(files: Files, sections: dict[str, str], path: str) -> None:
    (error,) = files.errors(config(**sections))
    assert error.partition(": ")[2] == f"{path}.retry.backoff: " + LONGER.format("2s")
    assert files.errors(config(**sections, defaults="defaults: {retry: {backoff_cap: 3s}}")) == []


def test_a_level_is_not_blamed_for_what_the_defaults_say(files: Files) -> None:
    sections = {
        "pools": "pools: {p: {members: [m], retry: {attempts: 2}}}",
        "defaults": "defaults: {retry: {backoff: 3s}}",
    }
    assert [one.split(": ")[1] for one in files.errors(config(**sections))] == ["defaults.retry.backoff"]


def test_what_is_broken_or_none_is_passed_over(files: Files) -> None:
    assert files.errors(config(defaults="defaults: {retry: none}")) == []
    (error,) = files.errors(config(defaults="defaults: {retry: {backoff: 3}}"))
    assert "needs a unit" in error

"""Lists of names and globs."""

import pytest

from gateway.routing.names import NamePattern


@pytest.mark.parametrize(
    ("patterns", "name", "is_covered"),
    [
        (["auto"], "auto", True),
        (["auto"], "Auto", False),
        (["auto"], "automatic", False),
        (["gpt-*"], "gpt-4o", True),
        (["gpt-*"], "gpt-", True),
        (["gpt-*"], "my-gpt-4o", False),
        (["gpt-*"], "gpt-4o\nx", True),
        (["*"], "", True),
        (["*-mini"], "gpt-4o-mini", True),
        (["*-mini"], "gpt-4o-mini\n", False),
        (["a*b*c"], "a-b-b-c", True),
        (["a?c"], "abc", False),
        (["a?*"], "ab", False),
        (["a?*"], "a?b", True),
        (["a[bc]*"], "ab", False),
        (["a[bc]*"], "a[bc]d", True),
        (["a.*"], "axb", False),
        (["claude-*", "auto", "gpt-*"], "auto", True),
        (["claude-*", "auto", "gpt-*"], "llama", False),
        ([], "auto", False),
    ],
)
def test_a_star_is_the_only_wildcard(patterns: list[str], name: str, is_covered: bool) -> None:
    assert NamePattern(patterns).covers(name) is is_covered


def test_many_stars_on_a_long_name_are_no_work() -> None:
    """Backtracking would take longer than anybody waits."""
    assert not NamePattern(["*a*a*a*a*a*a*a*a*b"]).covers("a" * 5_000)


def test_a_pattern_is_not_one_of_its_names() -> None:
    assert NamePattern(["gpt-*", "auto"]).exact == {"auto"}

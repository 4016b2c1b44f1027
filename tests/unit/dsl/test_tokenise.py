"""A source falls into tokens at the right places, and what is none is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dsl.compile import ConditionError, check_condition
from gateway.dsl.tokens import tokenise


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("a.b>=3.5e-1", ["a", ".", "b", ">=", "3.5e-1"]),
        ("1.5 .5", ["1.5", ".", "5"]),
        ("a // b\n&&!c", ["a", "&&", "!", "c"]),
        ("'a//b' == \"c'd\"", ["'a//b'", "==", '"c\'d"']),
        (r"'it\'s' r'\' x", [r"'it\'s'", r"r'\'", "x"]),
        ("'''a'b\n''c''' y", ["'''a'b\n''c'''", "y"]),
        ('"""a"b""" R"""\\"""', ['"""a"b"""', 'R"""\\"""']),
        ("''", ["''"]),
        ("0xFF in[1]", ["0xFF", "in", "[", "1", "]"]),
    ],
)
def test_tokens(source: str, texts: list[str]) -> None:
    tokens = tokenise(source)
    assert [token.text for token in tokens] == texts
    assert all(source[token.start :].startswith(token.text) for token in tokens)


@pytest.mark.parametrize("source", ["'a\nb'", "'''a''", '"', "a # b", "`a`", "1_000", "'\\8'", "'\\ud8'"])
def test_what_is_no_token_is_refused(source: str) -> None:
    with pytest.raises(ConditionError):
        tokenise(source)


PIECES = st.sampled_from(
    ["request.model", "request.tokens", "headers.a", "tenant", "'a'", "1", "2.5", "(", ")", "[", "]", "==", "<", "&&", "||",
     "!", "-", ".size()", ".exists(x, x == 'a')", "in", "?", ":", ",", ".", "x", "r'", '"', "\\", "//", "\n", "é", "true"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12).map(" ".join))
def test_any_source_is_accepted_or_refused_at_a_place_inside_it(source: str) -> None:
    try:
        check_condition(source, {})
    except ConditionError as error:
        lines = source.split("\n")
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1
        assert error.message and "ERROR" not in error.message

"""References, and what is taken for a key."""

from pathlib import Path

import pytest

from gateway.config.secrets import ReferenceProblem, References, hide_keys, holds_key, looks_like_key, referred

HERE = Path()


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain $5 {x}", "plain $5 {x}"),
        ("${A}", "one"),
        ("a${A}b${B:-two}c", "aonebtwoc"),
        ("${EMPTY:-}", ""),
        ("${EMPTY:-other}", "other"),
        ("${NONE:-a:-b}", "a:-b"),
        ("$${A} and $$", "${A} and $$"),
    ],
)
def test_references_are_put_in(text: str, expanded: str) -> None:
    assert References({"A": "one", "EMPTY": ""}).expand(text, HERE).text == expanded


def test_what_is_put_in_is_not_read_again() -> None:
    assert References({"A": "${B}", "B": "no"}).expand("${A}", HERE).text == "${B}"


@pytest.mark.parametrize(
    "text", ["${", "${}", "${A", "${1A}", "${A-b}", "${NONE}", "${EMPTY}", "${file:}", "${file:none}", "${BAD}"]
)
def test_what_cannot_be_put_in_is_told_without_a_value(text: str) -> None:
    with pytest.raises(ReferenceProblem) as error:
        References({"A": "one", "EMPTY": "", "BAD": "\udcff"}).expand(text, HERE)
    assert "one" not in str(error.value)


def test_a_secrets_file_loses_one_line_break_and_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"a\n\r\n")
    references = References({})
    assert references.expand("<${file:key}>", tmp_path).text == "<a\n>"
    assert references.files == {tmp_path / "key": b"a\n\r\n"}


def test_a_secrets_file_is_bounded_and_text(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 70_000)
    (tmp_path / "odd").write_bytes(b"\xff")
    for name, said in (("big", "is larger than 64KiB"), ("odd", "the file is not UTF-8 text"), (".", "is a directory")):
        with pytest.raises(ReferenceProblem, match=said):
            References({}).expand(f"${{file:{name}}}", tmp_path)


def test_messages_name_references_without_their_defaults() -> None:
    assert referred("a ${A:-hush} ${file:/run/x} $${B} ${-}") == "${A} and ${…} and ${…}"


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-abcdefghijklmnop",
        "sk-ant-REDACTED-0123456789",
        "ghp_abcdefghijklmnopqrst",
        "Bearer sk-abcdefghijklmnop",
    ],
)
def test_issuers_keys_are_known_and_hidden(key: str) -> None:
    assert holds_key(key)
    assert looks_like_key(key)
    assert "abcdef" not in hide_keys(f"x {key} y")
    assert "012345" not in hide_keys(f"x {key} y")


@pytest.mark.parametrize(
    "word", ["none", "ollama", "task-force-with-a-long-name", "claude-sonnet-4-5", "a sentence of words, and 1 number"]
)
def test_words_are_no_keys(word: str) -> None:
    assert not holds_key(word)
    assert not looks_like_key(word)
    assert hide_keys(word) == word

"""Estimates of tokens: near the truth for what people write, bounded for the rest."""

import json

import pytest

from gateway.core.tokens import TOKENS_PER_IMAGE, prompt_tokens, tokens_of

ENGLISH = "Say what the quick brown fox jumps over, and why it does not walk around the dog."
RUSSIAN = "Все люди рождаются свободными и равными в своем достоинстве и правах."
CHINESE = "人人生而自由,在尊严和权利上一律平等。"


@pytest.mark.parametrize(
    ("text", "older", "newer"),  # as cl100k and o200k count them
    [
        (ENGLISH, 19, 19),
        (RUSSIAN, 35, 17),
        (CHINESE, 22, 16),
        ("for name, value in sorted(headers.items()):\n    lines.append(name)\n", 16, 16),
        ('{"id": 17, "names": ["a", "b"], "isOpen": true}', 20, 21),
        ("3.14159, 2.71828, 1.41421", 16, 16),
    ],
)
def test_what_people_write_is_counted_to_a_third(text: str, older: int, newer: int) -> None:
    found = tokens_of(json.dumps(text, ensure_ascii=False).encode()[1:-1])
    assert min(older, newer) * 0.67 <= found <= max(older, newer) * 1.33


@pytest.mark.parametrize("first", ["é", "π", "ж", "ש", "ह", "ế", "漢", "한", "😀"])
def test_every_script_has_its_price(first: str) -> None:
    per_character = tokens_of((first * 100).encode()) / 100
    assert 0.3 < per_character < 3


@pytest.mark.parametrize("text", [ENGLISH, RUSSIAN, CHINESE])
def test_a_long_text_has_as_many_tokens_as_its_parts(text: str) -> None:
    one, many = tokens_of(text.encode()), tokens_of((text * 500).encode())
    assert many == pytest.approx(one * 500, rel=0.1)


def test_nothing_is_nothing() -> None:
    assert tokens_of(b"") == 0


def body_of(*texts: str) -> tuple[bytes, int]:
    messages = [{"role": "user", "content": text} for text in texts]
    body = json.dumps({"model": "gpt-4o", "messages": messages}, ensure_ascii=False, separators=(",", ":"))
    return body.encode(), sum(len(text.encode()) + 2 for text in texts)


@pytest.mark.parametrize("texts", [(ENGLISH,), (ENGLISH,) * 40, (CHINESE,) * 3, (RUSSIAN * 30, "Да.")])
def test_a_request_has_the_tokens_of_what_is_said_in_it(texts: tuple[str, ...]) -> None:
    said = sum(tokens_of(text.encode()) for text in texts)
    assert prompt_tokens(*body_of(*texts)) == pytest.approx(said, rel=0.25)


def test_a_request_has_a_token_at_least_and_never_more_than_bytes() -> None:
    assert prompt_tokens(b"{}", 0) == 1
    assert prompt_tokens(b'{"metadata":"' + b"x" * 4000 + b'"}', 10) == 1
    assert prompt_tokens("😀".encode() * 10, 40) == 27
    assert prompt_tokens(b"A" * 10_000 + b" " * 400_000, 400_000) <= 400_000


def test_around_pictures_four_bytes_are_a_token() -> None:
    assert prompt_tokens(b"A" * 100_000, 400, images=2) == 100 + 2 * TOKENS_PER_IMAGE
    assert prompt_tokens(b"A" * 100_000, 0, images=1) == 1 + TOKENS_PER_IMAGE

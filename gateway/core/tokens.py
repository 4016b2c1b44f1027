"""Estimates the number of tokens of a text from its bytes.

The gateway has no tokenizer. Each model has a different one, and to run one over every prompt would cost a hundred times as much
CPU as this estimate.

The estimate counts characters by kind. Each kind has a weight in tokens: low for small letters, nearly one for a capital or digit,
about one for a Chinese character. The weights were fitted on texts in twenty languages, on code and on JSON. They lie between two
vocabularies of OpenAI, the older cl100k and the newer o200k, which differ by a factor of two for some scripts. `docs/tokens.md`
lists the errors; `tests/bench/bench_tokens.py` measures them.

Only a sample of a long text is counted, so that the cost is bounded.
"""

from typing import Final

SAMPLE_BYTES: Final = 512  # the sample of a longer text: half from its beginning, half from its middle

TOKENS_PER_IMAGE: Final = 800  # a rough mean: 85 to some thousands, depending on size and detail

# Weights: thousandths of a token for one character of each kind.
_SMALL: Final = 220  # a to z
_SPACE: Final = 130
_CAPITAL: Final = 750  # or a digit
_OTHER: Final = 270  # punctuation, and the backslashes of JSON
_BY_FIRST_BYTE: Final = (  # kinds beyond ASCII, by the first byte of the character in UTF-8
    (range(0xC2, 0xCC), 1700),  # Latin with diacritics: it also splits the word that it is in
    (range(0xCC, 0xD0), 670),  # Greek
    (range(0xD0, 0xD4), 400),  # Cyrillic
    (range(0xD4, 0xE1), 620),  # Armenian, Hebrew, Arabic; the scripts of India, Thai
    (range(0xE1, 0xE2), 500),  # Georgian, Khmer, and the rest of Latin
    (range(0xE2, 0xF0), 980),  # dashes and quotes, Chinese, Japanese, Korean
    (range(0xF0, 0xF5), 2700),  # emoji
)
_SYNTAX: Final = 240  # one byte of JSON around the texts of a request

_SMALL_LETTERS: Final = b"abcdefghijklmnopqrstuvwxyz"
_CAPITALS_AND_SPACE: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 "
_NON_ASCII: Final = bytes(range(0x80, 0x100))
_NOT_FIRST: Final = bytes(range(0xC2))
_KINDS: Final = bytes(  # maps each first byte to the number of its kind
    next((kind for kind, (first, _) in enumerate(_BY_FIRST_BYTE) if byte in first), 0) for byte in range(0x100)
)
_WEIGHTS: Final = tuple((bytes([kind]), weight) for kind, (_, weight) in enumerate(_BY_FIRST_BYTE))


def tokens_of(text: bytes) -> int:
    """Return the estimated tokens of a text, in UTF-8 or as it stands in JSON; 0 for an empty one."""
    return (_thousandths(text) + 500) // 1000


def prompt_tokens(body: bytes, text_bytes: int, images: int = 0) -> int:
    """Return the estimated tokens of a request, at least 1. Of its `body`, `text_bytes` are texts; the rest is JSON syntax.

    The body is estimated as a whole and the syntax is deducted, because the texts may be in hundreds of places. The data of
    images would distort that: with `images`, four bytes of text count as one token, and each image as `TOKENS_PER_IMAGE`.
    """
    if images:
        return max(1, text_bytes // 4) + images * TOKENS_PER_IMAGE
    found = (_thousandths(body) - _SYNTAX * (len(body) - text_bytes)) // 1000
    return max(1, text_bytes // 16, min(found, text_bytes))


def _thousandths(text: bytes) -> int:
    size = len(text)
    if size > SAMPLE_BYTES:
        middle, half = size // 2, SAMPLE_BYTES // 2
        sample = text[:half] + text[middle : middle + half]
    else:
        sample = text
    found = 0
    if not sample.isascii():
        kinds = sample.translate(_KINDS, _NOT_FIRST)
        for kind, weight in _WEIGHTS:
            found += kinds.count(kind) * weight
        sample = sample.translate(None, _NON_ASCII)
    rest = sample.translate(None, _SMALL_LETTERS)
    spaces = rest.count(b" ")
    others = len(rest.translate(None, _CAPITALS_AND_SPACE))
    capitals = len(rest) - spaces - others
    found += (len(sample) - len(rest)) * _SMALL + spaces * _SPACE + capitals * _CAPITAL + others * _OTHER
    return found * size // SAMPLE_BYTES if size > SAMPLE_BYTES else found

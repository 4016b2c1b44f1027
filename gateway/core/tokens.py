"""How many tokens a text has, estimated from its bytes.

No tokenizer is on board: each model has another, and one run over every prompt would cost a hundred times what this does. What
is counted instead are kinds of characters, of which each has its price in tokens: small letters by the handful, capitals and
digits nearly one each, every Chinese character about one. The prices were fitted on texts in twenty languages, on code and on
JSON, to stand between two vocabularies: the older one of OpenAI's (cl100k) and the newer one (o200k), which differ by a factor
of two for some scripts. `docs/tokens.md` has the errors, `tests/bench/bench_tokens.py` measures them.

Of long texts a part is looked at, so that the cost has a bound.
"""

from typing import Final

SAMPLE_BYTES: Final = 512  # of a text that is longer, so many are looked at: half at its beginning, half in its middle

PER_IMAGE: Final = 800  # roughly: from 85 to some thousands, by size and detail

# Thousandths of a token for one character of each kind.
_SMALL: Final = 220  # a to z
_SPACE: Final = 130
_CAPITAL: Final = 750  # or a digit
_OTHER: Final = 270  # punctuation, and the backslashes of JSON
_BY_FIRST_BYTE: Final = (  # of a character beyond ASCII, in UTF-8
    (range(0xC2, 0xCC), 1700),  # Latin with marks: it also breaks the word that it stands in
    (range(0xCC, 0xD0), 670),  # Greek
    (range(0xD0, 0xD4), 400),  # Cyrillic
    (range(0xD4, 0xE1), 620),  # Armenian, Hebrew, Arabic; the scripts of India, Thai
    (range(0xE1, 0xE2), 500),  # Georgian, Khmer, and the rest of Latin
    (range(0xE2, 0xF0), 980),  # dashes and quotes, Chinese, Japanese, Korean
    (range(0xF0, 0xF5), 2700),  # emoji
)
_SYNTAX: Final = 240  # a byte of JSON around the texts of a request

_SMALL_LETTERS: Final = b"abcdefghijklmnopqrstuvwxyz"
_CAPITALS_AND_SPACE: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 "
_BEYOND: Final = bytes(range(0x80, 0x100))
_NO_FIRST: Final = bytes(range(0xC2))
_KINDS: Final = bytes(  # each first byte to the number of its kind
    next((kind for kind, (first, _) in enumerate(_BY_FIRST_BYTE) if byte in first), 0) for byte in range(0x100)
)
_PRICES: Final = tuple((bytes([kind]), price) for kind, (_, price) in enumerate(_BY_FIRST_BYTE))


def tokens_of(text: bytes) -> int:
    """Give the tokens of a text, in UTF-8 or as it stands in JSON; 0 for none."""
    return (_thousandths(text) + 500) // 1000


def prompt_tokens(body: bytes, text_bytes: int, images: int = 0) -> int:
    """Give the tokens of a request, 1 at least, of whose `body` so many bytes are what is said, and the rest the syntax around it.

    They are told by the body as a whole: what is said may stand in hundreds of places. Where pictures stand between them, the
    body says nothing of the texts, and four bytes count as a token.
    """
    if images:
        return max(1, text_bytes // 4) + images * PER_IMAGE
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
        kinds = sample.translate(_KINDS, _NO_FIRST)
        for kind, price in _PRICES:
            found += kinds.count(kind) * price
        sample = sample.translate(None, _BEYOND)
    rest = sample.translate(None, _SMALL_LETTERS)
    spaces = rest.count(b" ")
    others = len(rest.translate(None, _CAPITALS_AND_SPACE))
    capitals = len(rest) - spaces - others
    found += (len(sample) - len(rest)) * _SMALL + spaces * _SPACE + capitals * _CAPITAL + others * _OTHER
    return found * size // SAMPLE_BYTES if size > SAMPLE_BYTES else found

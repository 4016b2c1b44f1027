"""Valid JSON that two parsers could read differently, or that could exhaust one. Pure functions over bytes.

RFC 8259 leaves open what a repeated name means (section 4), how deep values may nest (9) and how large numbers may be (6).
Each is found without building the values: names by a dictionary that keeps duplicates, depth by bounds that get more expensive
only if a cheaper one is inconclusive.
"""

import operator
from itertools import accumulate
from math import isfinite
from typing import Final

import msgspec
from msgspec import Raw

MAX_DEPTH: Final = 128
MAX_VALUES: Final = 10**6  # arrays and objects, or half the number of quotes, in a value that is scanned for its depth

_ALL_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEP: Final = {ord("["): 1, ord("]"): -1}
_NUMBER: Final = b"-0123456789"  # the bytes that a number can begin with
_COUNTED: Final = 8 * 2**10  # up to this size in bytes counting is cheaper than searching
_DIGITS: Final = 4300  # the limit of Python's own parser


class _Name(str):
    """A name that equals no other: a dictionary keeps a repeated name twice."""

    __slots__ = ()
    __hash__ = object.__hash__
    __eq__ = object.__eq__


_decode_members = msgspec.json.Decoder(dict[_Name, Raw], dec_hook=operator.call).decode


class DuplicateName(ValueError):
    """A name occurs twice; `args[0]` is the name."""


def read_members(raw: bytes | Raw) -> dict[str, Raw]:
    """Return an object's members, unread. Raises `DuplicateName`, and msgspec's errors for any other value."""
    members = _decode_members(raw)
    fields = dict(zip(map(str, members), members.values(), strict=True))
    if len(fields) < len(members):
        names = list(map(str, members))
        raise DuplicateName(next(name for index, name in enumerate(names) if name in names[:index]))
    return fields


def is_odd_number(value: Raw) -> bool:
    """Return whether a value is a number that parsers read as infinity or reject."""
    data = memoryview(value)
    return data[0] in _NUMBER and (len(data) > _DIGITS or not isfinite(float(bytes(data))))


def is_too_deep(value: Raw, limit: int, text: int = 0) -> bool:
    """Return whether arrays and objects nest more than `limit` deep in a value, or are too many to tell.

    `text` is the number of its bytes that are known to stand in strings.
    """
    if len(memoryview(value)) - text <= 2 * limit:  # each level takes two bytes
        return False
    data = bytes(value)
    if _has_few_openers(data, limit):
        return False
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    if data.count(b'"') > 2 * MAX_VALUES:
        return True
    outside = b"".join(data.split(b'"')[::2])
    brackets = outside.translate(_ALL_BRACKETS, _NO_BRACKETS)
    if len(brackets) > 2 * MAX_VALUES:
        return True
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > limit


def _has_few_openers(data: bytes, limit: int) -> bool:
    """Return whether at most `limit` arrays and objects can begin in `data`; stops counting at the limit."""
    if len(data) <= _COUNTED:
        return data.count(b"{") + data.count(b"[") <= limit
    found = 0
    for opener in (b"{", b"["):
        at = data.find(opener)
        while at >= 0:
            found += 1
            if found > limit:
                return False
            at = data.find(opener, at + 1)
    return True

"""Valid JSON that two parsers could read differently, or that could exhaust one. Pure functions over bytes.

RFC 8259 leaves open what a repeated name means (section 4), how deep values may nest (9) and how large numbers may be (6).
Each is found without building the values: names by a dictionary that keeps duplicates, depth by bounds that get more expensive
only if a cheaper one is inconclusive.

What a body costs to read depends on its structure, not only on its size: 32 MiB can hold one image, or three million names.
`check_bounds` counts the structure of a large body before any value is built. It works in pieces, so that no single call into C
takes more than some milliseconds: such a call holds the interpreter's lock (GIL), and an event loop beside it would stand.
"""

import operator
from codecs import utf_8_decode
from itertools import accumulate, compress
from math import isfinite
from typing import Final, NamedTuple

import msgspec
from msgspec import Raw

MAX_DEPTH: Final = 128
MAX_VALUES: Final = 10**6  # arrays and objects, or half the number of quotes, in a value that is scanned for its depth
MAX_MEMBERS: Final = 1000  # names at the top level; no API has a hundred
MAX_ESCAPES: Final = 4 * 10**6  # a parser skips ordinary text ten times as fast as escapes
MAX_SPACE: Final = 4 * 2**20  # bytes between values; a parser skips ordinary text five times as fast
SMALL: Final = 8 * 2**10  # bytes; a body up to this size is cheap to read, whatever its structure
LARGE: Final = 64 * 2**10  # bytes; a body beyond this size is counted before it is read, and read beside the event loop

_ALL_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEP: Final = {ord("["): 1, ord("]"): -1}
_NUMBER: Final = b"-0123456789"  # the bytes that a number can begin with
_COUNTED: Final = 8 * 2**10  # up to this size in bytes counting is cheaper than searching
_DIGITS: Final = 4300  # the limit of Python's own parser
_PIECE: Final = 32 * 2**10  # bytes that are counted at once
_UTF8_PIECE: Final = 2**20
_NOT_STRUCTURE: Final = bytes(byte for byte in range(256) if byte not in b"[]{}:,")
_STEPS: Final = {ord("["): 1, ord("]"): -1, ord(":"): 0}


class _Name(str):
    """A name that equals no other: a dictionary keeps a repeated name twice."""

    __slots__ = ()
    __hash__ = object.__hash__
    __eq__ = object.__eq__


_decode_members = msgspec.json.Decoder(dict[_Name, Raw], dec_hook=operator.call).decode


class Bounds(NamedTuple):
    """How much structure a large body may have: `names` in all its objects together, and `values`, see `check_bounds`."""

    names: int = 50_000
    values: int = 320_000


DEFAULT_BOUNDS: Final = Bounds()


_TOO_MANY_MEMBERS: Final = f"has more than {MAX_MEMBERS} names at the top level"


class OutOfBounds(ValueError):
    """A body has more structure than allowed; `args[0]` says of what."""


class DuplicateName(ValueError):
    """A name occurs twice; `args[0]` is the name."""


def read_members(raw: bytes | Raw) -> dict[str, Raw]:
    """Return an object's members, unread.

    Raises `DuplicateName`, `OutOfBounds` for too many names, and msgspec's errors for any other value.
    """
    members = _decode_members(raw)
    if len(members) > MAX_MEMBERS:
        raise OutOfBounds(_TOO_MANY_MEMBERS)
    fields = dict(zip(map(str, members), members.values(), strict=True))
    if len(fields) < len(members):
        names = list(map(str, members))
        raise DuplicateName(next(name for index, name in enumerate(names) if name in names[:index]))
    return fields


def check_bounds(raw: bytes, bounds: Bounds) -> None:
    """Raise `OutOfBounds` for a body with too much structure, or with too many bytes that are slow to skip.

    `values` counts commas, arrays and objects outside of strings: `[1,[2]]` has 3. The counts are exact for valid JSON; where
    JSON is invalid they are exact up to the first error, which is as far as a parser reads.
    """
    at = names = values = members = depth = escapes = space = is_inside = 0
    size = len(raw)
    while at < size:
        piece = raw[at : at + _PIECE]
        if piece.endswith(b"\\") and (len(piece) - len(piece.rstrip(b"\\"))) % 2:
            piece = raw[at : at + len(piece) + 1]  # an escape is not cut in two
        at += len(piece)
        if b"\\" in piece:
            escapes += piece.count(b"\\")
            piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
        parts = piece.split(b'"')
        outside = b"".join(parts[is_inside::2])
        is_inside ^= (len(parts) - 1) & 1
        if outside:
            structure = outside.translate(_ALL_BRACKETS, _NOT_STRUCTURE)
            space += sum(map(outside.count, (b" ", b"\n", b"\t", b"\r")))
            names += structure.count(b":")
            values += structure.count(b",") + structure.count(b"[")
            nesting = structure.translate(None, b",")
            depths = list(accumulate(map(_STEPS.__getitem__, nesting), initial=depth))
            if max(depths) > MAX_DEPTH:
                raise OutOfBounds(f"is nested more than {MAX_DEPTH} deep")
            depth = depths.pop()
            members += sum(compress(map((1).__eq__, depths), map(b":"[0].__eq__, nesting)))
        for count, limit, what in (
            (members, MAX_MEMBERS, "names at the top level"),
            (names, bounds.names, "names"),
            (values, bounds.values, "values"),
            (escapes, MAX_ESCAPES, "escapes"),
            (space, MAX_SPACE, "bytes of space between values"),
        ):
            if count > limit:
                raise OutOfBounds(f"has more than {limit} {what}")


def check_utf8(raw: bytes) -> None:
    """Raise `UnicodeDecodeError` for bytes that are not UTF-8; a long body is decoded piece by piece."""
    if raw.isascii():
        return
    if len(raw) <= _UTF8_PIECE:
        raw.decode()
        return
    at, view = 0, memoryview(raw)
    while at < len(raw):
        end = at + _UTF8_PIECE
        _, used = utf_8_decode(view[at:end], "strict", end >= len(raw))
        at += used


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

"""Strings of JSON as they stand in streamed events, carried from one event to another without being read."""

import re
from typing import Final

import msgspec

STRING: Final = re.compile(rb'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"')
"""A whole string, quotes included."""

quote: Final = msgspec.json.Encoder().encode

_read = msgspec.json.Decoder(str).decode


def unquote(string: bytes) -> str:
    """Give the text that a string stands for. Raises msgspec's errors where it is none."""
    return _read(string)


class Pieces:
    """Strings that come one by one and are one in the end."""

    __slots__ = ("_inner", "size")

    def __init__(self) -> None:
        self._inner: list[bytes] = []
        self.size = 0  # in bytes

    def add(self, string: bytes) -> None:
        self._inner.append(string[1:-1])
        self.size += len(string)

    def joined(self) -> bytes:
        """Give them as one string."""
        return b'"%b"' % b"".join(self._inner)

    @property
    def is_json(self) -> bool:
        """Whether the text that they make is a whole JSON value."""
        try:
            msgspec.json.decode(unquote(self.joined()), type=msgspec.Raw)
        except (msgspec.DecodeError, UnicodeDecodeError, UnicodeEncodeError, RecursionError):
            return False
        return True


class Template:
    """What stands around the one string of an event, so that events that differ in nothing else are not parsed."""

    __slots__ = ("_head", "_tail")

    def __init__(self, event: bytes, start: int, end: int) -> None:
        self._head, self._tail = event[:start], event[end:]

    def string_of(self, event: bytes) -> bytes | None:
        """Give the string of an event of this shape; None for any other event."""
        if not event.startswith(self._head):
            return None
        found = STRING.match(event, len(self._head))
        if found is None or event[found.end() :] != self._tail:
            return None
        return found[0]


def template_of(event: bytes, member: bytes) -> Template | None:
    """Learn the shape of an event whose string is the value of `member`; None where that does not stand there once.

    The member can't be part of a text: JSON escapes the quotes in there.
    """
    key = b'"%b":' % member
    at = event.find(key)
    if at < 0 or event.find(key, at + len(key)) >= 0:
        return None
    at += len(key)
    while event[at : at + 1] == b" ":
        at += 1
    found = STRING.match(event, at)
    return None if found is None else Template(event, at, found.end())

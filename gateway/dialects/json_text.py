"""JSON strings of streamed events, copied from one event to another without decoding."""

import re
from typing import Final

import msgspec

STRING: Final = re.compile(rb'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"')
"""A whole string, quotes included."""

quote: Final = msgspec.json.Encoder().encode

_read = msgspec.json.Decoder(str).decode


def unquote(string: bytes) -> str:
    """Return the decoded text of a JSON string. Raises msgspec's errors for anything else."""
    return _read(string)


class Pieces:
    """JSON strings that arrive one by one and are joined at the end."""

    __slots__ = ("_inner", "size")

    def __init__(self) -> None:
        self._inner: list[bytes] = []
        self.size = 0  # in bytes

    def add(self, string: bytes) -> None:
        self._inner.append(string[1:-1])
        self.size += len(string)

    def joined(self) -> bytes:
        """Return them as one JSON string."""
        return b'"%b"' % b"".join(self._inner)

    @property
    def is_json(self) -> bool:
        """Return whether the joined text is a whole JSON value."""
        try:
            msgspec.json.decode(unquote(self.joined()), type=msgspec.Raw)
        except (msgspec.DecodeError, UnicodeDecodeError, UnicodeEncodeError, RecursionError):
            return False
        return True


class Template:
    """The bytes around the one string of an event, so that events that differ only in the string are not parsed."""

    __slots__ = ("_head", "_tail")

    def __init__(self, event: bytes, start: int, end: int) -> None:
        self._head, self._tail = event[:start], event[end:]

    def string_of(self, event: bytes) -> bytes | None:
        """Return the string of an event that matches; None for any other event."""
        if not event.startswith(self._head):
            return None
        found = STRING.match(event, len(self._head))
        if found is None or event[found.end() :] != self._tail:
            return None
        return found[0]


def template_of(event: bytes, member: bytes) -> Template | None:
    """Return the template of an event whose string is the value of `member`; None unless the member occurs exactly once.

    The member can't be part of a text: JSON escapes the quotes in a text.
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

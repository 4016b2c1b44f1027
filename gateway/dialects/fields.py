"""Members of a request, read one by one when it is translated to another dialect."""

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from functools import cache
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Raw

from gateway.dialects.request_body import invalid_field, is_null

T = TypeVar("T")

_decode_rows = msgspec.json.Decoder(dict[str, Raw]).decode
_EMPTY = (b"null", b"[]", b"{}", b"false", b'""')


class Fields:
    """The members of a body; null counts as not sent. `get` raises `InvalidRequest` for a value of another type."""

    __slots__ = ("_members",)

    def __init__(self, members: Mapping[str, Raw]) -> None:
        self._members = members

    def get(self, name: str, kind: type[T]) -> T | None:
        value = self._members.get(name)
        if value is None or is_null(value):
            return None
        try:
            decoded: T = decoder(cast(Hashable, kind))(value)
        except msgspec.ValidationError as error:
            raise invalid_field(error, name) from None
        return decoded

    def raw(self, name: str) -> Raw | None:
        value = self._members.get(name)
        return None if is_null(value) else value

    def unknown(self, known: Collection[str], defaults: Mapping[str, Any]) -> Iterator[str]:
        """Yield the members that are not in `known` and differ from their default."""
        for name, value in self._members.items():
            if name in known or is_null(value):
                continue
            if name not in defaults or not _equals(value, defaults[name]):
                yield name


def _equals(value: Raw, other: Any) -> bool:
    """Return whether a member equals `other`; an unreadable value, as one that holds an oversized number, equals nothing."""
    try:
        return bool(msgspec.json.decode(value) == other)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


@cache
def decoder(kind: Hashable) -> Callable[[Raw], Any]:
    """Return the decoder of a type."""
    return msgspec.json.Decoder(cast(Any, kind)).decode


def unknown_members(value: Raw, known: Collection[str], path: str) -> Iterator[str]:
    """Yield the paths of an object's members that are not in `known` and are not empty."""
    for name, member in _decode_rows(value).items():
        if name not in known and bytes(member) not in _EMPTY:
            yield f"{path}.{name}"


def non_null(value: Raw) -> Raw | None:
    """Return a value, None for null."""
    return None if is_null(value) else value

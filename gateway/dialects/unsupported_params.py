"""What one dialect can say and another can't: refused by name, or left out where the configuration says so."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.core.errors import InvalidRequest

_NO_NAMES: Final[Mapping[str, str]] = MappingProxyType({})


class UnsupportedParams:
    """Collects what the translation of one request can't carry over.

    With `drops_params` a parameter that has no counterpart is left out and noted in `dropped`; without, it is refused.
    Content is never left out: `untranslatable` is raised in either case. `names`: what the client calls a field of `Conversation`,
    where that differs.
    """

    __slots__ = ("_drops_params", "_names", "dropped")

    def __init__(self, *, drops_params: bool = False, names: Mapping[str, str] = _NO_NAMES) -> None:
        self._drops_params = drops_params
        self._names = names
        self.dropped: list[str] = []

    def drop(self, field: str, why: str = "the provider's API has no such parameter") -> None:
        """Give up a parameter, named as the field of `Conversation` or by the client. Raises `InvalidRequest`."""
        param = self._names.get(field, field)
        if not self._drops_params:
            raise untranslatable(param, why)
        self.dropped.append(param)


def untranslatable(param: str, why: str) -> InvalidRequest:
    """Give the error for something that can't be said in the other dialect and must not be left out."""
    return InvalidRequest(
        f"{param} can't be translated for this model: {why}", param=param, code="unsupported_parameter"
    )

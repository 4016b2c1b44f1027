"""Parameters of one dialect that another lacks: rejected by name, or dropped if the configuration allows it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.core.errors import InvalidRequest

_NO_NAMES: Final[Mapping[str, str]] = MappingProxyType({})


class UnsupportedParams:
    """Collects the parameters of one request that have no counterpart in the provider's dialect.

    With `drops_params` such a parameter is dropped and noted in `dropped`; otherwise it is rejected. Content is never dropped:
    `untranslatable` is raised in either case. `names` are the client's names for fields of `Conversation`, where they differ.
    """

    __slots__ = ("_drops_params", "_names", "dropped")

    def __init__(self, *, drops_params: bool = False, names: Mapping[str, str] = _NO_NAMES) -> None:
        self._drops_params = drops_params
        self._names = names
        self.dropped: list[str] = []

    def drop(self, field: str, why: str = "the provider's API has no such parameter") -> None:
        """Drop a parameter, named as the field of `Conversation` or by the client. Raises `InvalidRequest` if it is rejected."""
        param = self._names.get(field, field)
        if not self._drops_params:
            raise untranslatable(param, why)
        self.dropped.append(param)


def untranslatable(param: str, why: str) -> InvalidRequest:
    """Return the error for a part of the request that the other dialect can't express and that must not be dropped."""
    return InvalidRequest(
        f"{param} can't be translated for this model: {why}", param=param, code="unsupported_parameter"
    )

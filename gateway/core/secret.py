"""Secrets that cannot be printed by accident."""

from dataclasses import dataclass, field
from typing import Final

REDACTABLE_LENGTH: Final = 12  # a shorter secret may stand in another text by chance


@dataclass(frozen=True, slots=True)
class Secret:
    """A key or password. `repr`, `str` and format show nothing of it."""

    value: str = field(repr=False)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self.value)

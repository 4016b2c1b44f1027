"""An error in a provider's words, between two dialects."""

from typing import Final

import msgspec

TOO_LONG: Final = "context_length_exceeded"
"""The `code` of a prompt that is too long, whatever the provider calls it: clients cut their history at that."""


class ProviderError(msgspec.Struct, frozen=True):
    """What a provider said of a request that it does not take."""

    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None

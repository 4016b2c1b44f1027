"""Wire formats: one file for each, pure functions over bytes, shared by clients and providers that speak it.

Read `openai_chat.py` first, then `bridge.py`. May import `streaming`, `config` and `core`.
"""

from collections.abc import Mapping
from typing import Final

from gateway.dialects import (
    anthropic_messages,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_embeddings_batch,
    openai_responses,
)
from gateway.dialects.base import Dialect, Gathering

_ALL: Final[tuple[Dialect, ...]] = (
    openai_chat,
    anthropic_messages,
    openai_responses,
    openai_completions,
    openai_embeddings,
)

BY_NAME: Final[Mapping[str, Dialect]] = {dialect.NAME: dialect for dialect in _ALL}
BY_PATH: Final[Mapping[str, Dialect]] = {one.PATH: one for one in (openai_chat, openai_embeddings)}
"""What clients may speak; the others are for providers only."""

GATHERED: Final[Mapping[str, Gathering]] = {openai_embeddings.PATH: openai_embeddings_batch}
"""How several requests to a path become one, where they can."""

DEFAULT: Final[Dialect] = openai_chat
"""What errors look like where the path says nothing of the client's dialect."""

"""Wire formats: one file for each, pure functions over bytes, shared by clients and providers that speak it.

May import `streaming`, `config` and `core`. Read `openai_chat.py` first.
"""

from collections.abc import Mapping
from typing import Final

from gateway.dialects import openai_chat
from gateway.dialects.base import Dialect

_ALL: Final[tuple[Dialect, ...]] = (openai_chat,)

BY_NAME: Final[Mapping[str, Dialect]] = {dialect.NAME: dialect for dialect in _ALL}
BY_PATH: Final[Mapping[str, Dialect]] = {dialect.PATH: dialect for dialect in _ALL}
DEFAULT: Final[Dialect] = openai_chat
"""What errors look like where the path says nothing of the client's dialect."""

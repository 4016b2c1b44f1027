"""Wire formats: pure functions over bytes, shared by clients and providers that speak them.

One file is the dialect (`openai_chat.py`), and what it is made of stands beside it: requests in and out, answers, streams read
and written. Read `base.py` first, then `openai_chat.py` and `bridge.py`. May import `streaming`, `config` and `core`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.dialects import anthropic_messages, openai_chat, openai_completions, openai_embeddings, openai_responses
from gateway.dialects.anthropic_messages import model_list as anthropic_models
from gateway.dialects.anthropic_messages import token_count as anthropic_token_count
from gateway.dialects.base import Batching, Dialect, ModelList, TokenEstimator
from gateway.dialects.openai_embeddings import batch as openai_embeddings_batch

_ALL: Final[tuple[Dialect, ...]] = (
    openai_chat,
    anthropic_messages,
    openai_responses,
    openai_completions,
    openai_embeddings,
    anthropic_token_count,
)

BY_NAME: Final[Mapping[str, Dialect]] = {dialect.NAME: dialect for dialect in _ALL}
BY_PATH: Final[Mapping[str, Dialect]] = {dialect.PATH: dialect for dialect in _ALL}

BATCHED: Final[Mapping[str, Batching]] = {openai_embeddings.PATH: openai_embeddings_batch}
"""How several requests to a path become one, where they can."""

ESTIMATED: Final[Mapping[str, TokenEstimator]] = {anthropic_token_count.PATH: anthropic_token_count}
"""What the gateway answers with an estimate where no provider can be asked, by path."""

MODEL_LISTS: Final[Mapping[str, ModelList]] = {anthropic_messages.VENDOR: anthropic_models}
"""Lists of models by vendor, where they have another shape than `api/models.py` gives them."""

DEFAULT: Final[Dialect] = openai_chat
"""What errors look like where neither path nor headers say anything of the client's dialect."""

VERSION_HEADER: Final = "anthropic-version"  # every client of Anthropic's API sends it, with every request

ID_HEADERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"openai": ("x-request-id",), "anthropic": ("x-request-id", "request-id")}
)
"""By vendor, the response headers that hold the request's id."""

_ID_LINES: Final = MappingProxyType(
    {vendor: "".join(f"{name}: {{0}}\r\n" for name in names) for vendor, names in ID_HEADERS.items()}
)


def dialect_of(path: str, headers: Mapping[str, str]) -> Dialect:
    """Give the dialect of a request that may never come to its handler: what stands at or above its path, else its client's."""
    for dialect in _ALL:
        if path == dialect.PATH or path.startswith(f"{dialect.PATH}/"):
            return dialect
    vendor = vendor_of(headers)
    return DEFAULT if vendor == DEFAULT.VENDOR else next(one for one in _ALL if vendor == one.VENDOR)


def vendor_of(headers: Mapping[str, str]) -> str:
    """Return the vendor of the client that sent a request, for paths that all vendors share."""
    return "anthropic" if VERSION_HEADER in headers else "openai"


def id_lines(vendor: str, request_id: str) -> str:
    """Return the lines of a response head that hold the request's id."""
    return _ID_LINES[vendor].format(request_id)

"""Wire formats: pure functions over bytes, shared by clients and providers that speak them.

One package is one dialect, and all have the same layout; a dialect lacks a file if it has nothing of the kind:

| file | holds |
|---|---|
| `request_in.py` | the facts that the gateway reads of a client's request, and the checks of its shape |
| `conversation_in.py` | a client's request as neutral values |
| `request_out.py` | requests for providers: the client's bytes with what must change, or neutral values |
| `answer.py` | unstreamed answers, both ways |
| `decoder.py`, `encoder.py` | streams as neutral events, and neutral events as streams |
| `observer.py` | a stream that passes unchanged: its usage, its end, an error in it |
| `usage.py`, `errors.py` | token counts and errors, both ways |

Read `base.py` first, then `openai_chat/` and `bridge.py`. May import `streaming`, `config` and `core`. A file of a dialect
imports its siblings, never the package.
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
"""By path, the dialects whose requests can be joined into one call."""

ESTIMATED: Final[Mapping[str, TokenEstimator]] = {anthropic_token_count.PATH: anthropic_token_count}
"""By path, the requests that the gateway answers with an estimate if no provider can count."""

MODEL_LISTS: Final[Mapping[str, ModelList]] = {anthropic_messages.VENDOR: anthropic_models}
"""Formats of model lists by vendor, where they differ from that of `api/models.py`."""

DEFAULT: Final[Dialect] = openai_chat
"""The dialect of errors if neither path nor headers reveal the client's dialect."""

VERSION_HEADER: Final = "anthropic-version"  # every client of Anthropic's API sends it, with every request

ID_HEADERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"openai": ("x-request-id",), "anthropic": ("x-request-id", "request-id")}
)
"""By vendor, the response headers that hold the request's id."""

_ID_LINES: Final = MappingProxyType(
    {vendor: "".join(f"{name}: {{0}}\r\n" for name in names) for vendor, names in ID_HEADERS.items()}
)


def dialect_of(path: str, headers: Mapping[str, str]) -> Dialect:
    """Return the dialect for errors of a request: that of its path or of a parent of the path, otherwise that of its client."""
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

"""The setting `speaks:` of a provider: which APIs the server has. For the kinds that stand for many servers."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from gateway.config.spec import ProviderSpec

DIALECTS_BY_WORD: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "chat": ("openai_chat",),
        "messages": ("anthropic_messages", "anthropic_token_count"),
        "responses": ("openai_responses",),
        "completions": ("openai_completions",),
        "embeddings": ("openai_embeddings",),
    }
)
"""The words of the setting, and the dialects for which they stand."""


def dialects_schema(default: str) -> Mapping[str, Any]:
    """Return the schema of the setting; `default` describes what holds without it."""
    return {
        "type": "array",
        "minItems": 1,
        "uniqueItems": True,
        "items": {"enum": list(DIALECTS_BY_WORD)},
        "examples": [["chat", "responses", "embeddings"]],
        "description": "APIs of the server. A request in one of them is sent to it unchanged; any other request is translated to "
        f"the first. Default: {default}",
    }


def dialects_of(spec: ProviderSpec, default: tuple[str, ...]) -> tuple[str, ...]:
    """Return the dialects of a provider: those of its setting, otherwise `default`, which is in the setting's words."""
    return tuple(name for word in spec.settings.get("speaks", default) for name in DIALECTS_BY_WORD[word])

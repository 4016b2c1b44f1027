"""`speaks:` of a provider: which wire formats it takes, for the kinds that stand for many servers."""

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
"""The words of the setting, and the dialects that they mean."""


def dialects_schema(default: str) -> Mapping[str, Any]:
    """Give the schema of the setting; `default` says what holds without it."""
    return {
        "type": "array",
        "minItems": 1,
        "uniqueItems": True,
        "items": {"enum": list(DIALECTS_BY_WORD)},
        "examples": [["chat", "responses", "embeddings"]],
        "description": "APIs that the server has, the one to translate to first; what a client asks in one of them reaches "
        f"it untouched. Without it {default}",
    }


def dialects_of(spec: ProviderSpec, default: tuple[str, ...]) -> tuple[str, ...]:
    """Give the dialects that a provider speaks, by its setting or else `default`, which is in the setting's words."""
    return tuple(name for word in spec.settings.get("speaks", default) for name in DIALECTS_BY_WORD[word])

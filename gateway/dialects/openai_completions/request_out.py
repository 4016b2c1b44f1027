"""Requests of OpenAI's completions for providers; docs/completions.md has the table of what maps to what."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from gateway.core.conversation import Conversation, Text, Turn
from gateway.dialects.unsupported_params import UnsupportedParams, untranslatable

_SAME: Final = ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty", "logit_bias", "user")
"""Parameters with the same name and meaning."""
_UNSUPPORTED: Final = ("top_k", "reasoning", "verbosity", "metadata", "service_tier", "output", "tool_choice")


def from_conversation(conversation: Conversation, model: str, unsupported: UnsupportedParams) -> bytes:
    """Return the body of a request: the text of one user turn is the prompt. Raises `InvalidRequest` for anything else."""
    for name in (*conversation.unsupported, *_unsupported_params(conversation)):
        unsupported.drop(name)
    body: dict[str, Any] = {
        "model": model,
        "prompt": _text_of(conversation),
        "max_tokens": conversation.max_tokens,
        "stop": list(conversation.stop) or None,
        **{name: getattr(conversation, name) for name in _SAME},
        "stream": conversation.stream or None,
        "stream_options": {"include_usage": True} if conversation.stream else None,
    }
    return msgspec.json.encode({name: value for name, value in body.items() if value is not None})


def _unsupported_params(conversation: Conversation) -> Iterator[str]:
    for name in _UNSUPPORTED:
        if getattr(conversation, name) is not None:
            yield name
    if conversation.n not in (None, 1):
        yield "n"
    if conversation.store:
        yield "store"


def _text_of(conversation: Conversation) -> str:
    if conversation.tools:
        raise untranslatable("tools", "a completion calls no tools")
    match conversation.turns:
        case [Turn(role="user", parts=parts, name=None)] if not conversation.system:
            texts = [part.text for part in parts if isinstance(part, Text)]
            if len(texts) == len(parts):
                return "".join(texts)
    raise untranslatable("messages", "the model completes one text and has no chats: no system prompt, no turns")

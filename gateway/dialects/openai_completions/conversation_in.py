"""Clients' requests of OpenAI's completions as neutral values; docs/completions.md has the table of what maps to what."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from gateway.core.chat import ChatRequest
from gateway.core.conversation import Conversation, Text, Turn
from gateway.dialects.fields import Fields
from gateway.dialects.unsupported_params import untranslatable

PARAMS: Final[Mapping[str, str]] = MappingProxyType({})
DEFAULT_MAX_TOKENS: Final = 16
"""The API's own limit of an answer for requests without one."""
_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType({"best_of": 1, "echo": False, "suffix": ""})
_KNOWN: Final = frozenset(
    (
        "frequency_penalty",
        "logit_bias",
        "max_tokens",
        "model",
        "n",
        "presence_penalty",
        "prompt",
        "seed",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "top_p",
        "user",
    )
)


def to_conversation(request: ChatRequest) -> Conversation:
    """Return a prompt as one turn of a user. Raises `InvalidRequest` for several prompts, or for tokens."""
    fields = Fields(request.fields)
    unsupported = list(fields.unknown(_KNOWN, _DEFAULTS))
    if (fields.get("n", int) or 1) > 1:
        unsupported.append("n")
    max_tokens = request.max_tokens if request.max_tokens is not None else DEFAULT_MAX_TOKENS
    if not max_tokens:
        raise untranslatable("max_tokens", "a chat answers with at least one token")
    stop = fields.get("stop", str | list[str])  # type: ignore[arg-type]
    return Conversation(
        turns=(Turn("user", (Text(_prompt(fields)),)),),
        stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
        max_tokens=max_tokens,
        temperature=request.temperature,
        top_p=fields.get("top_p", float),
        seed=fields.get("seed", int),
        presence_penalty=fields.get("presence_penalty", float),
        frequency_penalty=fields.get("frequency_penalty", float),
        logit_bias=fields.raw("logit_bias"),
        user=fields.get("user", str),
        stream=request.stream,
        unsupported=tuple(unsupported),
    )


def _prompt(fields: Fields) -> str:
    prompt = fields.get("prompt", str | list[Any])  # type: ignore[arg-type]
    match [prompt] if isinstance(prompt, str) else prompt:
        case [str() as text]:
            return text
        case None:
            raise untranslatable("prompt", "the request has none, and a chat begins with a message of the user")
        case [str(), *_]:
            raise untranslatable("prompt", "several prompts would be several chats")
    raise untranslatable("prompt", "tokens belong to one model, and a chat is text")

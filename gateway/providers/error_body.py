"""The body of a provider's error: the few cases in which its codes or its message mean more than the status.

Every vendor has its own shape, and compatible servers mix them:

| shape                                                                   | vendor                                 |
|-------------------------------------------------------------------------|----------------------------------------|
| `{"error": {"code", "type", "message"}}`, the code a name or a number   | OpenAI, Azure, llama.cpp, newer vLLM   |
| the same with `innererror: {"code"}` in it                              | Azure                                  |
| `{"type": "error", "error": {"type", "message"}}`                       | Anthropic                              |
| `{"object": "error", "code", "type", "message"}`                        | older vLLM                             |
| `{"code", "message"}`, `{"error": "…"}`, `{"detail": "…"}`, a list of one | others                               |

Codes and types are names that a vendor documents, so they decide first. A message is written for people and may repeat the
client's text: it is searched only where no code has decided, only at its beginning, and only for phrases that do not occur by
chance.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

BODY_LIMIT: Final = 64 * 2**10  # bytes; a longer body is not parsed
MESSAGE_LIMIT: Final = 1000  # characters of a message that are searched

ErrorMeaning = Literal["context_length", "content_policy", "quota"]


@dataclass(frozen=True, slots=True)
class ErrorPatterns:
    """The codes or types, and the phrases of messages, that a kind of provider uses for each meaning; all in lower case."""

    codes: Mapping[str, ErrorMeaning]
    phrases: Mapping[ErrorMeaning, tuple[str, ...]]

    def meaning(self, body: bytes, among: frozenset[ErrorMeaning]) -> ErrorMeaning | None:
        """Return the meaning of an error's body, None where it is none of `among`. Never raises."""
        codes, message = _read(body)
        for code in codes:
            if (meaning := self.codes.get(code)) in among:
                return meaning
        return next(
            (one for one in self.phrases if one in among and any(map(message.__contains__, self.phrases[one]))), None
        )


COMMON_PATTERNS: Final = ErrorPatterns(
    codes={
        "context_length_exceeded": "context_length",
        "exceed_context_size_error": "context_length",
        "content_filter": "content_policy",
        "content_policy_violation": "content_policy",
        "moderation_blocked": "content_policy",
        "responsibleaipolicyviolation": "content_policy",
        "data_inspection_failed": "content_policy",
        "datainspectionfailed": "content_policy",
        "insufficient_quota": "quota",
        "billing_hard_limit_reached": "quota",
        "billing_not_active": "quota",
        "exceeded_current_quota_error": "quota",
        "insufficient_balance": "quota",
    },
    phrases={
        "context_length": (
            "maximum context length",
            "maximum model length",
            "context length exceeded",
            "context window exceeded",
            "context size exceeded",
            "exceed context limit",
            "exceeds context",
            "exceeds the context",
            "exceeds model context",
            "exceeds the model's context",
            "exceeds the available context",
            "exceeds the maximum context",
            "prompt is too long",
            "input is too long for requested model",
            "input token count",
            "`inputs` tokens + `max_new_tokens`",
        ),
        "content_policy": (
            "content management policy",
            "content filtering policy",
            "violating our usage polic",
            "input was flagged",
            "content exists risk",
            "rejected as a result of our safety system",
        ),
        "quota": ("credit balance is too low", "insufficient balance", "insufficient credits", "insufficient quota"),
    },
)
"""The patterns of all known vendors; a kind may have its own."""


def _read(body: bytes) -> tuple[list[str], str]:
    """Return the codes and types in a body, the most specific first, and its message; all in lower case."""
    if len(body) > BODY_LIMIT:
        return [], ""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [], ""
    outer = document[0] if isinstance(document, list) and document else document
    if not isinstance(outer, dict):
        return [], ""
    inner = outer.get("error")
    error = inner if isinstance(inner, dict) else outer
    inner_error = error.get("innererror")
    names = [inner_error.get("code")] if isinstance(inner_error, dict) else []
    names += [error.get("code"), error.get("type"), error.get("error_type")]
    messages = (error.get("message"), inner, outer.get("detail"))
    return [one.lower() for one in names if isinstance(one, str)], _first_text(messages)


def _first_text(values: tuple[Any, ...]) -> str:
    return next((one[:MESSAGE_LIMIT].lower() for one in values if isinstance(one, str)), "")

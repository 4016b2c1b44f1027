"""What the body of a provider's refusal says: the few cases in which it says more than the status.

Every vendor has its own shape, and servers that speak another's dialect mix them:

| shape                                                                   | whose                                  |
|-------------------------------------------------------------------------|----------------------------------------|
| `{"error": {"code", "type", "message"}}`, the code a name or a number   | OpenAI, Azure, llama.cpp, newer vLLM   |
| the same with `innererror: {"code"}` in it                              | Azure                                  |
| `{"type": "error", "error": {"type", "message"}}`                       | Anthropic                              |
| `{"object": "error", "code", "type", "message"}`                        | older vLLM                             |
| `{"code", "message"}`, `{"error": "…"}`, `{"detail": "…"}`, a list of one | others                               |

Codes and types are names that a vendor promises, so they decide first. A message is for people and may repeat what the client
wrote: it is looked at only where no code has decided, only at its beginning, and only for phrases that nobody writes by chance.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

BODY_LIMIT: Final = 64 * 2**10  # bytes of a body that is read; a longer one is no message about a request
MESSAGE_LIMIT: Final = 1000  # characters of a message that are looked at

ErrorMeaning = Literal["context_length", "content_policy", "quota"]


@dataclass(frozen=True, slots=True)
class ErrorPatterns:
    """The words by which a kind of provider says what it means: codes or types, and phrases of its messages, in lower case."""

    codes: Mapping[str, ErrorMeaning]
    phrases: Mapping[ErrorMeaning, tuple[str, ...]]

    def meaning(self, body: bytes, among: frozenset[ErrorMeaning]) -> ErrorMeaning | None:
        """Give what a refusal means, where that is one of `among`. Never raises."""
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
"""What all known vendors say; a kind whose vendor says it otherwise has its own."""


def _read(body: bytes) -> tuple[list[str], str]:
    """Give the codes and types that a body names, the most particular first, and its message; all in lower case."""
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
    particular = error.get("innererror")
    named = [particular.get("code")] if isinstance(particular, dict) else []
    named += [error.get("code"), error.get("type"), error.get("error_type")]
    messages = (error.get("message"), inner, outer.get("detail"))
    return [one.lower() for one in named if isinstance(one, str)], _first_text(messages)


def _first_text(values: tuple[Any, ...]) -> str:
    return next((one[:MESSAGE_LIMIT].lower() for one in values if isinstance(one, str)), "")

"""The few cases in which the codes or the message of a provider's error mean more than its status.

`core/provider_error.py` reads the error in every shape. Codes and types are names that a vendor documents, so they decide first. A
message is written for people and may repeat the client's text: it is searched only where no code has decided, only at its
beginning, and only for phrases that do not occur by chance. What says something of the gateway's own
configuration (a refused key, which then rests; a model that is gone) counts as the first words of a message only.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from gateway.core.provider_error import ProviderError

MESSAGE_LIMIT: Final = 1000  # characters of a message that are searched

ErrorMeaning = Literal["credential", "quota", "model_gone", "context_length", "content_policy"]


@dataclass(frozen=True, slots=True)
class ErrorPatterns:
    """The codes or types, and the phrases of messages, that a kind of provider uses for each meaning; all in lower case.

    `openings`: what a message begins with.
    """

    codes: Mapping[str, ErrorMeaning]
    phrases: Mapping[ErrorMeaning, tuple[str, ...]]
    openings: Mapping[ErrorMeaning, re.Pattern[str]] = field(default_factory=dict)

    def meaning(self, error: ProviderError | None, among: frozenset[ErrorMeaning]) -> ErrorMeaning | None:
        """Return the meaning of an error, None where it is none of `among`. Never raises."""
        if error is None or not among:
            return None
        for name in error.names:
            if (meaning := self.codes.get(name)) in among:
                return meaning
        message = error.message[:MESSAGE_LIMIT].lower()
        for one, opening in self.openings.items():
            if one in among and opening.match(message):
                return one
        return next(
            (one for one in self.phrases if one in among and any(map(message.__contains__, self.phrases[one]))), None
        )


COMMON_PATTERNS: Final = ErrorPatterns(
    codes={
        "context_length_exceeded": "context_length",
        "exceed_context_size_error": "context_length",
        "context_window_exceeded": "context_length",
        "model_max_prompt_tokens_exceeded": "context_length",
        "1261": "context_length",  # Zhipu
        "content_filter": "content_policy",
        "content_policy_violation": "content_policy",
        "moderation_blocked": "content_policy",
        "responsibleaipolicyviolation": "content_policy",
        "data_inspection_failed": "content_policy",
        "datainspectionfailed": "content_policy",
        "1301": "content_policy",  # Zhipu
        "insufficient_quota": "quota",
        "insufficient_user_quota": "quota",
        "billing_error": "quota",
        "billing_hard_limit_reached": "quota",
        "billing_not_active": "quota",
        "exceeded_current_quota_error": "quota",
        "insufficient_balance": "quota",
        "insufficient_credits": "quota",
        "payment_required": "quota",
        "arrearage": "quota",  # Alibaba
        "1113": "quota",  # Zhipu
        "1008": "quota",  # MiniMax
        "invalid_api_key": "credential",
        "invalidapikey": "credential",
        "api_key_invalid": "credential",
        "api_key_expired": "credential",
        "invalid_authentication_error": "credential",
        "authentication_error": "credential",
        "model_not_found": "model_gone",
        "model_not_exist": "model_gone",
        "modelnotfound": "model_gone",
        "model_decommissioned": "model_gone",
        "model_deprecated": "model_gone",
        "deploymentnotfound": "model_gone",  # Azure
        "1211": "model_gone",  # Zhipu
    },
    phrases={
        "quota": (
            "credit balance is too low",
            "insufficient balance",
            "insufficient account balance",
            "insufficient credits",
            "insufficient quota",
            "requires more credits",
            "billing hard limit",
            "used all available credits",
            "doesn't have any credits",
            "reached its monthly spending limit",
            "make sure your account is in good standing",
        ),
        "context_length": (
            "maximum context length",
            "maximum model length",
            "maximum prompt length",
            "context length exceeded",
            "context window exceeded",
            "context window exceeds",
            "context size exceeded",
            "exceed context limit",
            "exceeds context",
            "exceeds the context",
            "exceeds model context",
            "exceeds the model's context",
            "longer than the model's context",
            "exceeds the available context",
            "exceeds the maximum context",
            "exceeded max context length",
            "exceeded model token limit",
            "input tokens exceed the configured limit",
            "exceeds the maximum allowed length",
            "range of input length should be",
            "model is loaded with context length",
            "prompt is too long",
            "prompt tokens too long",
            "prompt token count",
            "prompt 超长",
            "input is too long for requested model",
            "input token count",
            "too many tokens: total number of tokens in the prompt",
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
    },
    openings={
        "credential": re.compile(
            r"api key (?:not valid|not found|expired)|please pass a valid api key|(?:invalid|incorrect) api key"
            r"|missing or invalid authorization header"
        ),
        "model_gone": re.compile(
            r"(?:the )?(?:requested )?models?\b.{0,120}?(?:\bnot found\b|\b(?:not|doesn't) exist\b"
            r"|has been (?:decommissioned|deprecated|retired|removed)|is no longer (?:supported|available))"
            r"|model: \S+$|invalid model: |no endpoints found for |\S{1,100} is not a valid model id"
        ),
    },
)
"""The patterns of all known vendors; a kind may have its own."""

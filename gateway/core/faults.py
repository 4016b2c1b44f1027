"""The ways in which an attempt at a provider goes wrong, and what follows from each: a closed set, one table.

Four questions decide what follows, and each column answers one.

- May this pool try again? `word` is the one in `retry.when` that allows it. None: no word is needed, since nobody would wish
  otherwise, as where our own key was refused. `again` tells whether the endpoint that failed may be among those that are
  asked then. It is False where it would only say the same once more, and where a clock ran out: who has waited for an endpoint
  that long does not wait for it again. A late answer has the word of a late first token, and one
  that stopped that of a server that failed: whoever wants the one retried wants the other.
- May anybody else be asked at all? `elsewhere` is "no" where the request itself is at fault, no time is left, or the client has
  had content already; "bigger_window" for endpoints whose model takes a longer prompt; "if_configured" only where `retry.when` has
  the word, because the operator has to want that a refused text is shown to others.
- Was it the endpoint's fault? Only what tells of its health counts for its breaker (`hurts_breaker`). A limit, a key, a refused
  text and a request's total clock do not: an endpoint that answers 429 lives.
- What does the client get when nobody else answers? `status`; None is the provider's own.

`docs/faults.md` is this table for users; a test holds the two equal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal

RetryWord = Literal["connect", "first_token", "rate_limited", "server_error", "content_policy"]
Failover = Literal["yes", "bigger_window", "if_configured", "no"]


class Fault(StrEnum):
    """What went wrong. Those up to `TOTAL` never came to an answer, or not to its end; the others are what an answer said."""

    CONNECT = "connect"  # DNS, refusal, TLS; a reset or close before the first byte
    CONNECT_TIMEOUT = "connect_timeout"
    FIRST_TOKEN = "first_token"
    ANSWER = "answer"
    IDLE = "idle"
    CUT = "cut"  # broke off before the first content, or inside an unstreamed body
    INTERRUPTED = "interrupted"  # broke off, or reported an error, after its first content
    TOTAL = "total"
    UNTRANSLATABLE = "untranslatable"  # the request asks for what the provider's dialect can't say; nothing was sent
    WARMING = "warming"  # a server that the gateway itself starts was not up in time
    RATE_LIMITED = "rate_limited"
    QUOTA = "quota"  # a 429 that no waiting mends
    CREDENTIAL = "credential"
    SERVER_ERROR = "server_error"
    MALFORMED = "malformed"  # no answer at all: HTML, garbage, wrong framing, too long, compressed, a redirect
    HIDDEN_ERROR = "hidden_error"  # an error in a body, or in a stream before its content, that came with 200
    REJECTED = "rejected"
    CONTEXT_LENGTH = "context_length"
    CONTENT_POLICY = "content_policy"


@dataclass(frozen=True, slots=True)
class Effect:
    """What follows from a fault; the columns are explained at the top of this file."""

    retry_word: RetryWord | None
    same_endpoint: bool
    failover: Failover
    hurts_breaker: bool
    status: int | None


EFFECTS: Final[Mapping[Fault, Effect]] = MappingProxyType(
    {
        #                            word             again  elsewhere        hurts  status
        Fault.CONNECT: Effect("connect", True, "yes", True, 502),
        Fault.CONNECT_TIMEOUT: Effect("connect", False, "yes", True, 504),
        Fault.FIRST_TOKEN: Effect("first_token", False, "yes", True, 504),
        Fault.ANSWER: Effect("first_token", False, "yes", True, 504),
        Fault.IDLE: Effect("server_error", False, "yes", True, 504),
        Fault.CUT: Effect("server_error", True, "yes", True, 502),
        Fault.INTERRUPTED: Effect(None, False, "no", True, 502),
        Fault.TOTAL: Effect(None, False, "no", False, 504),
        Fault.UNTRANSLATABLE: Effect(None, False, "yes", False, 400),
        Fault.WARMING: Effect(None, False, "yes", False, 504),
        Fault.RATE_LIMITED: Effect("rate_limited", True, "yes", False, 429),
        Fault.QUOTA: Effect(None, False, "yes", False, 429),
        Fault.CREDENTIAL: Effect(None, False, "yes", False, 502),
        Fault.SERVER_ERROR: Effect("server_error", True, "yes", True, None),
        Fault.MALFORMED: Effect("server_error", True, "yes", True, 502),
        Fault.HIDDEN_ERROR: Effect("server_error", True, "yes", True, 502),
        Fault.REJECTED: Effect(None, False, "no", False, None),
        Fault.CONTEXT_LENGTH: Effect(None, False, "bigger_window", False, None),
        Fault.CONTENT_POLICY: Effect("content_policy", False, "if_configured", False, None),
    }
)

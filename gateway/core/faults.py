"""The faults of an attempt at a provider, and what follows from each: a closed set, one table.

Four questions decide what follows. Each column answers one of them or a part of it.

- May the same pool try again? `retry_word` is the word in `retry.when` that allows the retry. None: no word is needed, because
  the retry is always wanted, as after the provider refused the gateway's own key. (Faults whose `failover` is "no" have None too;
  they are never retried.) A late response (`answer`) has the word of a late first token, and a stalled response (`idle`) that of a
  failed server: an operator who wants the one retried wants the other.
  `same_endpoint`: whether the endpoint that failed may be tried again. False if it would fail the same way again, and after a
  timeout: a request that has waited so long for an endpoint does not wait for it again.
- May any other endpoint be tried? `failover` is "no" if the request itself is at fault, no time is left, or the client has received
  content; "bigger_window" if only endpoints help whose model has a larger context window; "if_configured" if `retry.when` must
  have the word, since the operator has to decide whether a refused text is shown to other providers.
- Is it a failure of the endpoint? `hurts_breaker` is True only if the fault says something of the endpoint's health. A limit, a
  key, a refused text and the total timeout of a request do not: an endpoint that responds with 429 is alive.
  What the gateway's account or configuration causes is never the client's fault: `quota`, `credential` and `model_gone` go on.
- What does the client get if no other endpoint succeeds? `status`; None stands for the provider's own status.

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
    """What went wrong.

    Up to `TOTAL`: no response, or no complete one. `UNTRANSLATABLE` and `WARMING`: nothing was sent. The others: what the response
    says.
    """

    CONNECT = "connect"  # DNS, refusal, TLS; a reset or close before the first byte
    CONNECT_TIMEOUT = "connect_timeout"
    FIRST_TOKEN = "first_token"
    ANSWER = "answer"
    IDLE = "idle"
    CUT = "cut"  # broke off before the first content, or inside an unstreamed body
    INTERRUPTED = "interrupted"  # broke off, or reported an error, after its first content
    TOTAL = "total"
    UNTRANSLATABLE = (
        "untranslatable"  # the provider's dialect has no word for something in the request; nothing was sent
    )
    WARMING = "warming"  # a server that the gateway itself starts was not up in time; nothing was sent
    RATE_LIMITED = "rate_limited"
    QUOTA = "quota"  # the gateway's account is out of money or quota, by whatever status: waiting does not help
    CREDENTIAL = "credential"
    MODEL_GONE = "model_gone"  # the provider does not have the model that the configuration names
    TRANSIENT = "transient"  # a 4xx that passes by itself: 408, 409, 425, `x-should-retry: true`
    SERVER_ERROR = "server_error"
    MALFORMED = "malformed"  # not a valid response: HTML, garbage, wrong framing, too long, compressed, a redirect
    HIDDEN_ERROR = "hidden_error"  # status 200, but an error in the body, or in the stream before its content
    REJECTED = "rejected"
    CONTEXT_LENGTH = "context_length"
    CONTENT_POLICY = "content_policy"


@dataclass(frozen=True, slots=True)
class Effect:
    """What follows from a fault. The columns are explained at the top of this file."""

    retry_word: RetryWord | None
    same_endpoint: bool
    failover: Failover
    hurts_breaker: bool
    status: int | None


EFFECTS: Final[Mapping[Fault, Effect]] = MappingProxyType(
    {
        #              retry_word, same_endpoint, failover, hurts_breaker, status
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
        Fault.MODEL_GONE: Effect(None, False, "yes", False, 502),
        Fault.TRANSIENT: Effect("server_error", True, "yes", False, None),
        Fault.SERVER_ERROR: Effect("server_error", True, "yes", True, None),
        Fault.MALFORMED: Effect("server_error", True, "yes", True, 502),
        Fault.HIDDEN_ERROR: Effect("server_error", True, "yes", True, 502),
        Fault.REJECTED: Effect(None, False, "no", False, None),
        Fault.CONTEXT_LENGTH: Effect(None, False, "bigger_window", False, None),
        Fault.CONTENT_POLICY: Effect("content_policy", False, "if_configured", False, None),
    }
)

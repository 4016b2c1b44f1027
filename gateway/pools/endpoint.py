"""One endpoint (provider, model, URL, key) and what the gateway has learned of it. Live: a reload keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NewType

from gateway.pools.averages import Average, RecentValues
from gateway.resilience.breaker import Breaker

EndpointId = NewType("EndpointId", str)

NEVER = 0.0


@dataclass(slots=True, eq=False)
class Load:
    """The requests that run at one provider, over all its endpoints. Live."""

    in_flight: int = 0


@dataclass(slots=True, eq=False)
class Credential:
    """One key at one provider. Live.

    `is_refused`: the provider refused the key when it last judged it. `refused_until`: until then the key's endpoints are out
    of rotation.
    """

    is_refused: bool = False
    refused_until: float = NEVER


@dataclass(slots=True, eq=False)
class Endpoint:
    """A provider, a model, a URL and a key: the owner of the breaker. Live: it outlasts reloads that still name it.

    Moments are monotonic seconds, 0.0 = never. Four files write here: `upstream/attempt.py` (counts and times),
    `upstream/failover.py` (what errors say of the endpoint), `directory.py` and `rotation.py` (what takes it out of rotation).
    """

    id: EndpointId  # "openai/gpt-4o"; with further keys or URLs "openai/gpt-4o#2"
    provider: str
    model: str
    breaker: Breaker
    hash_key: str = ""  # identifies it in hashes: the same in every worker and after every reload that still names it
    load: Load = field(default_factory=Load)
    credential: Credential = field(default_factory=Credential)
    in_flight: int = 0
    resting_until: float = NEVER  # after a 429: the wait that the provider asked for, at most `retry.retry_after_cap`
    retry_after_until: float = NEVER  # after a 429: the same wait without the cap
    is_drained: bool = False  # by the operator: gets no new requests
    is_healthy: bool = True  # result of the active health checks
    last_failure: Mapping[str, Any] = field(
        default_factory=dict
    )  # the fields of the log event of the last failed attempt
    recovered_at: float = NEVER  # when it took requests again: the start of the slow start
    first_token_s: Average = field(default_factory=Average)  # of streams
    answer_s: Average = field(default_factory=Average)  # of unstreamed answers
    failures: Average = field(default_factory=Average)  # 0 or 1 for each attempt: its mean is the error rate
    recent_first_tokens_s: RecentValues = field(default_factory=RecentValues)
    recent_answers_s: RecentValues = field(default_factory=RecentValues)

    def is_in_rotation(self, now: float) -> bool:
        """Whether it may take requests, breaker and capacity aside."""
        return (
            self.is_healthy
            and not self.is_drained
            and self.resting_until <= now
            and self.credential.refused_until <= now
        )

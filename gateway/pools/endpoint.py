"""One place to send requests to, and what the gateway has learned of it. Live: a reload keeps it."""

from dataclasses import dataclass, field
from typing import NewType

from gateway.pools.averages import Average, RecentValues
from gateway.resilience.breaker import Breaker

EndpointId = NewType("EndpointId", str)

NEVER = 0.0


@dataclass(slots=True, eq=False)
class Load:
    """What runs at one provider, over all its endpoints. Live."""

    in_flight: int = 0


@dataclass(slots=True, eq=False)
class Credential:
    """One key at one provider. Live. `is_refused`: the provider's last word; `refused_until`: out of rotation so long."""

    is_refused: bool = False
    refused_until: float = NEVER


@dataclass(slots=True, eq=False)
class Endpoint:
    """A provider, a model, a URL and a key: the owner of the breaker. Live: it outlasts reloads that still name it.

    Moments are monotonic seconds, 0.0 = never. Attempts write here and what their errors tell (`attempt`, `search`), and
    what takes endpoints out of rotation (`directory`, `rotation`).
    """

    id: EndpointId  # "openai/gpt-4o"; with further keys or URLs "openai/gpt-4o#2"
    provider: str
    model: str
    breaker: Breaker
    hash_key: str = ""  # stands for it in hashes: the same in every worker and after every reload that still names it
    load: Load = field(default_factory=Load)
    credential: Credential = field(default_factory=Credential)
    in_flight: int = 0
    resting_until: float = NEVER  # the provider asked for it (429), up to the cap
    retry_after_until: float = NEVER  # what it asked for in full
    is_drained: bool = False  # by the operator: takes nothing new
    is_healthy: bool = True  # as active checks see it
    recovered_at: float = NEVER  # since when it takes requests again: the start of the ramp
    first_token_s: Average = field(default_factory=Average)  # of streams
    answer_s: Average = field(default_factory=Average)  # of unstreamed answers
    failures: Average = field(default_factory=Average)  # 0 or 1 for each attempt: its mean is the error rate
    recent_first_tokens_s: RecentValues = field(default_factory=RecentValues)
    recent_answers_s: RecentValues = field(default_factory=RecentValues)

    def is_in_rotation(self, now: float) -> bool:
        """Whether it may be asked but for its breaker and its room."""
        return (
            self.is_healthy
            and not self.is_drained
            and self.resting_until <= now
            and self.credential.refused_until <= now
        )

"""What is alive of a pool: it outlasts reloads, by the pool's name."""

from dataclasses import dataclass, field

from gateway.core.clock import Clock
from gateway.pools.concurrency import ConcurrencyLimiter
from gateway.pools.sticky import Sticky
from gateway.resilience.retry import HedgeBudget, RetryBudget


@dataclass(slots=True, eq=False)
class PoolState:
    """A pool's budgets, who is in it and who waits, and which endpoint had which conversation."""

    limiter: ConcurrencyLimiter
    sticky: Sticky
    budget: RetryBudget = field(default_factory=RetryBudget)
    hedges: HedgeBudget = field(default_factory=HedgeBudget)

    @classmethod
    def new(cls, clock: Clock) -> "PoolState":
        """Give the state of a pool that nobody has asked yet."""
        return cls(ConcurrencyLimiter(clock), Sticky(clock))

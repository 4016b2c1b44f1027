"""Whose settings hold: for a model in a pool, for a pool, for the breaker of an endpoint."""

from gateway.config.spec import BreakerSpec, ModelSpec, Policy, PoolSpec, Spec
from gateway.resilience.policies import Policies, merge
from gateway.runtime.cpus import worker_count


class EffectivePolicies:
    """The settings of one configuration, merged from the levels at which they may stand."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._workers = worker_count(spec.server.workers)

    def of_model(self, model: ModelSpec, pool: str, route: Policy) -> Policies:
        """Give what holds for a model in a pool, or on its own."""
        return merge(*self._levels(model, pool), route)

    def of_pool(self, pool: str, route: Policy) -> Policies:
        """Give what holds for a pool as a whole; providers and models have no say in that."""
        pools = [self._spec.pools[pool].policy] if pool in self._spec.pools else []
        return merge(self._spec.defaults, *pools, route)

    def of_breaker(self, model: ModelSpec) -> BreakerSpec | None:
        """Give the breaker settings of a model's endpoints: those of the pool that says something of them, if any."""
        listing = (pool for pool in self._spec.pools.values() if model.name in models_of(pool))
        pool = next((pool.name for pool in listing if "breaker" in pool.policy.given), "")
        return merge(*self._levels(model, pool)).breaker

    def share(self, limit: int | None) -> int | None:
        """Give this worker's part of a limit for all of them, 1 at least."""
        return None if limit is None else -(-limit // self._workers)

    def _levels(self, model: ModelSpec, pool: str) -> list[Policy]:
        """Give the settings that hold for a model in a pool (or on its own), the most general first."""
        spec = self._spec
        pools = [spec.pools[pool].policy] if pool in spec.pools else []
        return [spec.defaults, spec.providers[model.provider].policy, model.policy, *pools]


def models_of(pool: PoolSpec) -> tuple[str, ...]:
    """Give the models that a pool lists."""
    return tuple(member.model for member in pool.members)


def least(*limits: int | None) -> int | None:
    """Give the smallest of some limits; None is no limit."""
    return min((limit for limit in limits if limit is not None), default=None)

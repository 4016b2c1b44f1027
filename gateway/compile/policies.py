"""The settings in force for a model in a pool, for a pool, and for the breaker of an endpoint."""

from gateway.config.spec import BreakerSpec, ModelSpec, Policy, PoolSpec, Spec
from gateway.resilience.policies import Policies, merge


class EffectivePolicies:
    """The settings of one configuration, merged from all levels. `workers`: how many share the limits."""

    def __init__(self, spec: Spec, workers: int) -> None:
        self._spec = spec
        self._workers = workers

    def of_model(self, model: ModelSpec, pool: str, route: Policy) -> Policies:
        """Return the settings of a model in a pool, or on its own."""
        return merge(*self._levels(model, pool), route)

    def of_pool(self, pool: str, route: Policy) -> Policies:
        """Return the settings of a pool as a whole; those of providers and models do not apply to it."""
        pools = [self._spec.pools[pool].policy] if pool in self._spec.pools else []
        return merge(self._spec.defaults, *pools, route)

    def of_breaker(self, model: ModelSpec) -> BreakerSpec | None:
        """Return the breaker settings of a model's endpoints: those of the first pool of the model that sets any."""
        listing = (pool for pool in self._spec.pools.values() if model.name in models_of(pool))
        pool = next((pool.name for pool in listing if "breaker" in pool.policy.given), "")
        return merge(*self._levels(model, pool)).breaker

    def share(self, limit: int | None) -> int | None:
        """Return one worker's share of a limit that all workers keep together, at least 1."""
        return None if limit is None else -(-limit // self._workers)

    def _levels(self, model: ModelSpec, pool: str) -> list[Policy]:
        """Return the settings of a model in a pool (or on its own) level by level, the most general first."""
        spec = self._spec
        pools = [spec.pools[pool].policy] if pool in spec.pools else []
        return [spec.defaults, spec.providers[model.provider].policy, model.policy, *pools]


def models_of(pool: PoolSpec) -> tuple[str, ...]:
    """Return the models that a pool lists."""
    return tuple(member.model for member in pool.members)


def least(*limits: int | None) -> int | None:
    """Return the smallest of several limits; None is no limit."""
    return min((limit for limit in limits if limit is not None), default=None)

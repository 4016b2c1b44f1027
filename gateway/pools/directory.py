"""The live endpoints, keys and pools of a worker, by identity: what a reload keeps."""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.config.spec import BreakerSpec
from gateway.core.clock import Clock
from gateway.pools.concurrency import ConcurrencyLimiter
from gateway.pools.endpoint import Credential, Endpoint, EndpointId, Load
from gateway.pools.sticky import StickyMap
from gateway.resilience.breaker import Breaker
from gateway.resilience.retry import HedgeBudget, RetryBudget

log = logging.getLogger(__name__)

Identity = tuple[str, ...]

KEY_REST_S: Final = 300.0  # after which a key that was refused while another was left is tried again


@dataclass(slots=True, eq=False)
class PoolState:
    """A pool's budgets, who is in it and who waits, and which endpoint had which conversation."""

    limiter: ConcurrencyLimiter
    sticky: StickyMap
    budget: RetryBudget = field(default_factory=RetryBudget)
    hedges: HedgeBudget = field(default_factory=HedgeBudget)

    @classmethod
    def new(cls, clock: Clock) -> "PoolState":
        """Give the state of a pool that nobody has asked yet."""
        return cls(ConcurrencyLimiter(clock), StickyMap(clock))


class Directory:
    """Gives the same live object for the same identity, whatever configuration asks. Made in a thread or on the loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._endpoints: dict[Identity, Endpoint] = {}
        self._loads: dict[str, Load] = {}
        self._credentials: dict[tuple[str, str], Credential] = {}
        self._pools: dict[str, PoolState] = {}
        self.on_key_refused: Callable[[Endpoint], None] | None = None

    def get(self, identity: Identity, provider: str, model: str, key: str, breaker: BreakerSpec | None) -> Endpoint:
        """Give the endpoint of `identity` (provider, model, URL, hash of the key), new where there is none.

        `key` is the hash alone. `breaker` holds for a new one only: living ones are reconfigured when the configuration
        takes effect, and named then too.
        """
        found = self._endpoints.get(identity)
        if found is None:
            made = Endpoint(
                EndpointId(f"{provider}/{model}"),
                provider,
                model,
                Breaker(breaker, self._clock),
                "\0".join(identity),
                self._loads.setdefault(provider, Load()),
                self.credential(provider, key),
            )
            found = self._endpoints.setdefault(identity, made)
        return found

    def credential(self, provider: str, key: str) -> Credential:
        """Give what is known of a provider's key, by the hash of the key."""
        return self._credentials.setdefault((provider, key), Credential())

    def pool(self, name: str) -> PoolState:
        """Give what is alive of a pool."""
        found = self._pools.get(name)
        return found if found is not None else self._pools.setdefault(name, PoolState.new(self._clock))

    def identities(self) -> dict[Endpoint, Identity]:
        """Give each endpoint's identity."""
        return {endpoint: identity for identity, endpoint in self._endpoints.items()}

    def retain(self, endpoints: Collection[Endpoint], pools: Collection[str]) -> None:
        """Forget all that is not among these; requests that still run on something keep it until they end."""
        kept = set(map(id, endpoints))
        self._endpoints = {identity: found for identity, found in self._endpoints.items() if id(found) in kept}
        providers = {endpoint.provider for endpoint in endpoints}
        self._loads = {name: load for name, load in self._loads.items() if name in providers}
        used = {id(endpoint.credential) for endpoint in endpoints}
        self._credentials = {name: one for name, one in self._credentials.items() if id(one) in used}
        self._pools = {name: state for name, state in self._pools.items() if name in pools}

    def mark_key_refused(self, endpoint: Endpoint, others: Sequence[Credential]) -> None:
        """Note that the provider refuses the key of `endpoint`: out of rotation while one of the `others` is left.

        The last one stays, marked: it may be mended at the provider at any time.
        """
        credential, now = endpoint.credential, self._clock.monotonic()
        was_refused, credential.is_refused = credential.is_refused, True
        if any(not other.is_refused for other in others):
            credential.refused_until = now + KEY_REST_S
        if not was_refused:
            what = "it rests" if credential.refused_until > now else "it is the last and stays in use"
            log.error(
                "a provider refuses the gateway's key",
                extra={"provider": endpoint.provider, "endpoint": endpoint.id, "effect": what},
            )
            if self.on_key_refused is not None:
                self.on_key_refused(endpoint)

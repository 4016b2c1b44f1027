"""The live endpoints, keys and pools of a worker, by identity. A reload keeps them."""

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

KEY_REST_S: Final = 300.0  # a refused key rests for so long, if the provider has another key left


@dataclass(slots=True, eq=False)
class PoolState:
    """The live part of a pool, kept by name: running and waiting requests, sticky conversations, budgets for retries and hedges."""

    limiter: ConcurrencyLimiter
    sticky: StickyMap
    budget: RetryBudget = field(default_factory=RetryBudget)
    hedges: HedgeBudget = field(default_factory=HedgeBudget)

    @classmethod
    def new(cls, clock: Clock) -> "PoolState":
        """Return the state of a pool without any requests yet."""
        return cls(ConcurrencyLimiter(clock), StickyMap(clock))


class Directory:
    """Returns the same live object for the same identity, across configurations. Called from the compile thread and on the loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._endpoints: dict[Identity, Endpoint] = {}
        self._loads: dict[str, Load] = {}
        self._credentials: dict[tuple[str, str], Credential] = {}
        self._pools: dict[str, PoolState] = {}
        self.on_key_refused: Callable[[Endpoint], None] | None = None

    def get(self, identity: Identity, provider: str, model: str, key: str, breaker: BreakerSpec | None) -> Endpoint:
        """Return the endpoint of `identity` (provider, model, URL, hash of the key); make it if there is none.

        `key` is the hash alone. `breaker` holds for a new endpoint only: `runtime.services.activate` renames and
        reconfigures existing ones when the configuration takes effect.
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
        """Return the state of a provider's key, by the hash of the key."""
        return self._credentials.setdefault((provider, key), Credential())

    def pool(self, name: str) -> PoolState:
        """Return the live state of a pool."""
        found = self._pools.get(name)
        return found if found is not None else self._pools.setdefault(name, PoolState.new(self._clock))

    def identities(self) -> dict[Endpoint, Identity]:
        """Return each endpoint's identity."""
        return {endpoint: identity for identity, endpoint in self._endpoints.items()}

    def retain(self, endpoints: Collection[Endpoint], pools: Collection[str]) -> None:
        """Forget every other endpoint and pool. Running requests keep what they hold until they end."""
        kept = set(map(id, endpoints))
        self._endpoints = {identity: found for identity, found in self._endpoints.items() if id(found) in kept}
        providers = {endpoint.provider for endpoint in endpoints}
        self._loads = {name: load for name, load in self._loads.items() if name in providers}
        used = {id(endpoint.credential) for endpoint in endpoints}
        self._credentials = {name: one for name, one in self._credentials.items() if id(one) in used}
        self._pools = {name: state for name, state in self._pools.items() if name in pools}

    def mark_key_refused(self, endpoint: Endpoint, others: Sequence[Credential]) -> None:
        """Mark the key of `endpoint` as refused by the provider. It rests for `KEY_REST_S` if one of the `others` is not refused.

        The last key stays in rotation, marked: the provider may accept it again at any time.
        """
        credential, now = endpoint.credential, self._clock.monotonic()
        was_refused, credential.is_refused = credential.is_refused, True
        if any(not other.is_refused for other in others):
            credential.refused_until = now + KEY_REST_S
        if not was_refused:
            effect = "it rests" if credential.refused_until > now else "it is the last key and stays in use"
            log.error(
                "a provider refuses the gateway's key",
                extra={"provider": endpoint.provider, "endpoint": endpoint.id, "effect": effect},
            )
            if self.on_key_refused is not None:
                self.on_key_refused(endpoint)

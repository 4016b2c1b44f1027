"""The live endpoints of a worker, by identity: what a reload keeps."""

from collections.abc import Collection

from gateway.config.spec import BreakerSpec
from gateway.core.clock import Clock
from gateway.pools.endpoint import Endpoint, EndpointId
from gateway.resilience.breaker import Breaker

Identity = tuple[str, ...]


class Directory:
    """Gives the same `Endpoint` for the same identity, whatever configuration asks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._endpoints: dict[Identity, Endpoint] = {}

    def get(self, identity: Identity, provider: str, model: str, breaker: BreakerSpec | None) -> Endpoint:
        """Give the endpoint of `identity` (provider, model, URL, hash of the key), new where there is none.

        `breaker` holds for a new one only: living ones are reconfigured when the configuration takes effect.
        """
        found = self._endpoints.get(identity)
        if found is None:
            made = Endpoint(EndpointId(f"{provider}/{model}"), provider, model, Breaker(breaker, self._clock))
            found = self._endpoints.setdefault(identity, made)
        return found

    def retain(self, endpoints: Collection[Endpoint]) -> None:
        """Forget every endpoint that is not among `endpoints`; requests that still run on one keep it until they end."""
        kept = set(map(id, endpoints))
        self._endpoints = {identity: found for identity, found in self._endpoints.items() if id(found) in kept}

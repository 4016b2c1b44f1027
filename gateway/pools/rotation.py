"""What takes endpoints out of rotation and puts them back, and who is told of it: the log, the metrics, other workers.

| what happens                      | the endpoint                            | other workers        |
|-----------------------------------|-----------------------------------------|----------------------|
| its breaker opens                 | rests, until probes say otherwise       | open theirs          |
| the provider refuses its key      | rests, where another key is left        | rest it too          |
| active checks fail in a row       | is left alone until one succeeds        | check for themselves |
| the operator drains it            | takes nothing new until enabled         | are told by control  |

Whenever one takes requests again, `recovered_at` begins its slow start.
"""

import logging
from collections.abc import Callable, Collection, Iterable
from functools import partial
from hashlib import blake2b
from typing import Final, Literal

from gateway.core.clock import Clock
from gateway.observability.metrics import Metrics
from gateway.pools.directory import Directory, Identity
from gateway.pools.endpoint import NEVER, Endpoint
from gateway.resilience.breaker import BreakerState

log = logging.getLogger(__name__)

NewsKind = Literal["opened", "key_refused"]
Tell = Callable[[str, NewsKind, float], None]
Reason = Literal["drained", "unhealthy", "key_refused", "resting"]

ILL: Final[frozenset[str]] = frozenset({"unhealthy", "key_refused"})
"""The reasons that somebody should look into."""


class EndpointRotation:
    """Watches over the endpoints of the configuration in force. On the loop only; nothing here waits.

    `tell` is given what other workers should hear: whose identity it is (a digest that outlives names), what happened,
    and for how many seconds it holds.
    """

    def __init__(self, directory: Directory, clock: Clock, metrics: Metrics) -> None:
        self.tell: Tell = _to_nobody
        self._directory = directory
        self._clock = clock
        self._metrics = metrics
        self._identities: dict[Endpoint, str] = {}
        self._by_identity: dict[str, Endpoint] = {}
        self._drained: frozenset[str] = frozenset()
        directory.on_key_refused = self._key_refused
        metrics.on_snapshot(self._fill)

    @property
    def endpoints(self) -> Collection[Endpoint]:
        """Those of the configuration in force, in its order."""
        return self._identities.keys()

    def follow(self, endpoints: Iterable[Endpoint]) -> None:
        """Watch over `endpoints`, which bear their names already, and no others. What is drained by name is at once."""
        known = self._directory.identities()
        self._identities = {endpoint: digest(known[endpoint]) for endpoint in endpoints}
        self._by_identity = {identity: endpoint for endpoint, identity in self._identities.items()}
        for endpoint in self._identities:
            endpoint.breaker.on_change = partial(self._breaker_changed, endpoint)
            self._set_drained(endpoint)

    def hear(self, identity: str, kind: NewsKind, rest_s: float) -> None:
        """Take the word of another worker; about an endpoint that is not ours (any more), it means nothing."""
        endpoint = self._by_identity.get(identity)
        if endpoint is None:
            return
        match kind:
            case "opened":
                endpoint.breaker.trip(rest_s)
            case "key_refused":
                endpoint.credential.is_refused = True
                if rest_s > 0:
                    endpoint.credential.refused_until = self._clock.monotonic() + rest_s

    def drain(self, names: Iterable[str]) -> None:
        """Let the endpoints of these names take nothing new, and all others what comes: the whole list, not an addition."""
        self._drained = frozenset(names)
        for endpoint in self._identities:
            self._set_drained(endpoint)

    def forgive(self, names: Iterable[str]) -> None:
        """Forget what keeps the endpoints of these names out of rotation, but for breakers, which find out themselves."""
        wanted = frozenset(names)
        for endpoint in self._identities:
            if not wanted.isdisjoint(names_of(endpoint)):
                endpoint.rests_until = endpoint.told_until = NEVER
                endpoint.credential.is_refused, endpoint.credential.refused_until = False, NEVER
                self.note_health(endpoint, is_healthy=True)

    def note_health(self, endpoint: Endpoint, *, is_healthy: bool) -> None:
        """Note what active checks make of an endpoint; a change is logged."""
        if endpoint.is_healthy is is_healthy:
            return
        endpoint.is_healthy = is_healthy
        if is_healthy:
            endpoint.recovered_at = self._clock.monotonic()
            log.info("endpoint is healthy again", extra={"endpoint": endpoint.id})
        else:
            log.warning("endpoint is unhealthy and gets nothing more", extra={"endpoint": endpoint.id})

    def accept_key(self, endpoint: Endpoint) -> None:
        """Note that the provider takes the key of `endpoint`."""
        credential = endpoint.credential
        if credential.is_refused:
            credential.is_refused, credential.refused_until = False, NEVER
            log.info("a provider takes the gateway's key again", extra={"provider": endpoint.provider})

    def out(self) -> dict[str, Reason]:
        """Give what keeps endpoints out of rotation, by endpoint; breakers are not among it."""
        now = self._clock.monotonic()
        found = ((endpoint.id, reason_of(endpoint, now)) for endpoint in self._identities)
        return {name: reason for name, reason in found if reason is not None}

    def _set_drained(self, endpoint: Endpoint) -> None:
        is_drained = not self._drained.isdisjoint(names_of(endpoint))
        if endpoint.is_drained and not is_drained:
            endpoint.recovered_at = self._clock.monotonic()
        endpoint.is_drained = is_drained

    def _breaker_changed(self, endpoint: Endpoint, before: BreakerState, after: BreakerState) -> None:
        breaker, fields = endpoint.breaker, {"endpoint": endpoint.id}
        match after:
            case BreakerState.OPEN if breaker.opened_by_sibling:
                log.info("breaker opened, as that of another worker has", extra=fields)
            case BreakerState.OPEN:
                recovery_s = breaker.retry_in_s()
                told = {"failures": breaker.opened_after, "recovery_s": round(recovery_s, 1)}
                log.warning("breaker opened", extra={**fields, **told})
                self._metrics.breaker_openings[endpoint.id].value += 1
                self._tell(endpoint, "opened", recovery_s)
            case BreakerState.HALF_OPEN:
                log.info("breaker is half-open, one probe at a time", extra=fields)
            case BreakerState.CLOSED:
                endpoint.recovered_at = self._clock.monotonic()
                log.info("breaker closed", extra={**fields, "before": before.label})

    def _key_refused(self, endpoint: Endpoint) -> None:
        rest_s = max(0.0, endpoint.credential.refused_until - self._clock.monotonic())
        self._tell(endpoint, "key_refused", rest_s)

    def _tell(self, endpoint: Endpoint, kind: NewsKind, rest_s: float) -> None:
        identity = self._identities.get(endpoint)
        if identity is not None:  # else only requests that began before a reload still know it
            self.tell(identity, kind, rest_s)

    def _fill(self) -> None:
        self._metrics.set_endpoints((e.id, e.in_flight, e.is_healthy, e.is_drained) for e in self._identities)


def names_of(endpoint: Endpoint) -> frozenset[str]:
    """Give the names that an operator may call an endpoint by: its own, its model's at the provider, the provider's.

    Of several endpoints of one model the first bears no number; it answers to `#1` too.
    """
    return names_for(endpoint.id, endpoint.provider, endpoint.model)


def names_for(endpoint: str, provider: str, model: str) -> frozenset[str]:
    """Give the same from an endpoint's id, its provider's name and its model's."""
    return frozenset((endpoint, provider, f"{provider}/{model}", f"{endpoint}#1"))


def reason_of(endpoint: Endpoint, now: float) -> Reason | None:
    """Give what keeps an endpoint out of rotation at `now`, the weightiest first."""
    if endpoint.is_drained:
        return "drained"
    if endpoint.credential.refused_until > now:
        return "key_refused"
    if not endpoint.is_healthy:
        return "unhealthy"
    return "resting" if endpoint.rests_until > now else None


def digest(identity: Identity) -> str:
    """Give what stands for an identity between processes."""
    return blake2b("\0".join(identity).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _to_nobody(identity: str, kind: NewsKind, rest_s: float) -> None:
    """There is no other worker to tell."""

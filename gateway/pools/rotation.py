"""What takes endpoints out of rotation and brings them back, and the reports of it: log, metrics, broadcast to other workers.

| event                             | this worker's endpoint                     | other workers                      |
|-----------------------------------|--------------------------------------------|------------------------------------|
| its breaker opens                 | rests until a probe succeeds               | open their breaker                 |
| the provider refuses its key      | rests, if the provider has another key     | do the same                        |
| health checks fail in a row       | gets no requests until a check succeeds    | run their own checks               |
| the operator drains it            | gets no new requests until it is enabled   | receive the same list from control |

When an endpoint takes requests again, `recovered_at` starts its slow start.
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

RotationEvent = Literal["opened", "key_refused"]
Broadcast = Callable[[str, RotationEvent, float], None]
Reason = Literal["drained", "unhealthy", "key_refused", "resting"]

NEEDS_ATTENTION: Final[frozenset[str]] = frozenset({"unhealthy", "key_refused"})
"""The reasons that call for an operator: they make `/health` report a degraded state."""

CAUSE_FIELDS: Final = ("fault", "error", "status", "detail", "request_id")
"""Of the last failed attempt, in the log event of a breaker that it opens."""


class EndpointRotation:
    """Keeps track of the endpoints of the active configuration. On the loop only; nothing here waits.

    `broadcast` sends an event to the other workers: the endpoint's identity (a digest that outlives names), the kind of event,
    and for how many seconds it holds.
    """

    def __init__(self, directory: Directory, clock: Clock, metrics: Metrics) -> None:
        self.broadcast: Broadcast = _no_broadcast
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
        """The endpoints of the active configuration, in its order."""
        return self._identities.keys()

    def track(self, endpoints: Iterable[Endpoint]) -> None:
        """Keep track of `endpoints`, which already have their names, and no others. Drained names apply to them at once."""
        known = self._directory.identities()
        self._identities = {endpoint: identity_digest(known[endpoint]) for endpoint in endpoints}
        self._by_identity = {identity: endpoint for endpoint, identity in self._identities.items()}
        for endpoint in self._identities:
            endpoint.breaker.on_change = partial(self._breaker_changed, endpoint)
            self._apply_drained(endpoint)

    def apply_remote(self, identity: str, kind: RotationEvent, rest_s: float) -> None:
        """Apply an event of another worker; ignore it if the endpoint is not (or no longer) in this configuration."""
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

    def set_drained(self, names: Iterable[str]) -> None:
        """Stop sending new requests to the endpoints of these names; enable all others. `names` replaces the list before."""
        self._drained = frozenset(names)
        for endpoint in self._identities:
            self._apply_drained(endpoint)

    def reset(self, names: Iterable[str]) -> None:
        """Put the endpoints of these names back into rotation: clear rests, refused keys and failed checks.

        Breakers are left alone: they probe by themselves.
        """
        wanted = frozenset(names)
        for endpoint in self._identities:
            if not wanted.isdisjoint(names_of(endpoint)):
                endpoint.resting_until = endpoint.retry_after_until = NEVER
                endpoint.credential.is_refused, endpoint.credential.refused_until = False, NEVER
                self.set_health(endpoint, is_healthy=True)

    def set_health(self, endpoint: Endpoint, *, is_healthy: bool) -> None:
        """Set the result of the health checks of an endpoint; log a change."""
        if endpoint.is_healthy is is_healthy:
            return
        endpoint.is_healthy = is_healthy
        if is_healthy:
            endpoint.recovered_at = self._clock.monotonic()
            log.info("endpoint is healthy again", extra={"endpoint": endpoint.id})
        else:
            log.warning("endpoint is unhealthy and gets no more requests", extra={"endpoint": endpoint.id})

    def mark_key_accepted(self, endpoint: Endpoint) -> None:
        """Mark the key of `endpoint` as accepted by the provider; log a change."""
        credential = endpoint.credential
        if credential.is_refused:
            credential.is_refused, credential.refused_until = False, NEVER
            log.info("a provider accepts the gateway's key again", extra={"provider": endpoint.provider})

    def reasons_out_of_rotation(self) -> dict[str, Reason]:
        """Return why endpoints are out of rotation, by endpoint; breakers aside."""
        now = self._clock.monotonic()
        found = ((endpoint.id, reason_of(endpoint, now)) for endpoint in self._identities)
        return {name: reason for name, reason in found if reason is not None}

    def _apply_drained(self, endpoint: Endpoint) -> None:
        is_drained = not self._drained.isdisjoint(names_of(endpoint))
        if endpoint.is_drained and not is_drained:
            endpoint.recovered_at = self._clock.monotonic()
        endpoint.is_drained = is_drained

    def _breaker_changed(self, endpoint: Endpoint, before: BreakerState, after: BreakerState) -> None:
        breaker, fields = endpoint.breaker, {"endpoint": endpoint.id}
        match after:
            case BreakerState.OPEN if breaker.opened_by_sibling:
                log.info("breaker opened after that of another worker", extra=fields)
            case BreakerState.OPEN:
                recovery_s = breaker.retry_in_s()
                figures = {"failures": breaker.opened_after, "recovery_s": round(recovery_s, 1)}
                cause = {name: endpoint.last_failure[name] for name in CAUSE_FIELDS if name in endpoint.last_failure}
                log.warning("breaker opened", extra={**fields, **figures, **cause})
                self._metrics.breaker_openings[endpoint.id].value += 1
                self._broadcast(endpoint, "opened", recovery_s)
            case BreakerState.HALF_OPEN:
                log.info("breaker is half-open, one probe at a time", extra=fields)
            case BreakerState.CLOSED:
                endpoint.recovered_at = self._clock.monotonic()
                log.info("breaker closed", extra={**fields, "before": before.label})

    def _key_refused(self, endpoint: Endpoint) -> None:
        rest_s = max(0.0, endpoint.credential.refused_until - self._clock.monotonic())
        self._broadcast(endpoint, "key_refused", rest_s)

    def _broadcast(self, endpoint: Endpoint, kind: RotationEvent, rest_s: float) -> None:
        identity = self._identities.get(endpoint)
        if identity is not None:  # else only requests that began before a reload still use it
            self.broadcast(identity, kind, rest_s)

    def _fill(self) -> None:
        self._metrics.set_endpoints((e.id, e.in_flight, e.is_healthy, e.is_drained) for e in self._identities)


def names_of(endpoint: Endpoint) -> frozenset[str]:
    """Return the names by which an operator may address an endpoint: its own, `provider/model`, the provider's.

    Of several endpoints of one model the first has no number in its name; it may be addressed as `#1` too.
    """
    return names_for(endpoint.id, endpoint.provider, endpoint.model)


def names_for(endpoint: str, provider: str, model: str) -> frozenset[str]:
    """Return the same from an endpoint's id, its provider's name and its model's name."""
    return frozenset((endpoint, provider, f"{provider}/{model}", f"{endpoint}#1"))


def reason_of(endpoint: Endpoint, now: float) -> Reason | None:
    """Return why an endpoint is out of rotation at `now`: the weightiest reason, None if it is in rotation."""
    if endpoint.is_drained:
        return "drained"
    if endpoint.credential.refused_until > now:
        return "key_refused"
    if not endpoint.is_healthy:
        return "unhealthy"
    return "resting" if endpoint.resting_until > now else None


def identity_digest(identity: Identity) -> str:
    """Return the digest that identifies an endpoint between processes."""
    return blake2b("\0".join(identity).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _no_broadcast(identity: str, kind: RotationEvent, rest_s: float) -> None:
    """The default of `broadcast`, until the worker is connected to control."""

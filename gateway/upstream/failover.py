"""One request's search for somebody who answers: who was tried, what that has taught, and whom it leaves to ask.

Nothing here waits: it decides, and `dispatch` waits for what was decided.
"""

import asyncio
from collections.abc import Container, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from gateway.core.errors import (
    CredentialRefused,
    GatewayError,
    InvalidRequest,
    NoCapacity,
    UpstreamError,
    UpstreamRateLimited,
)
from gateway.core.exchange import Exchange
from gateway.pools.balancers.base import Facts
from gateway.pools.endpoint import Endpoint, Hop, Path, Target
from gateway.pools.selection import can_be_asked, candidates, pick, wait_s
from gateway.resilience.backoff import pause_s
from gateway.routing.conversation import affinity
from gateway.snapshot import Services

LEAST_RETRY_S: Final = 1.0  # what a client is told to wait where nobody can tell
TOLD_SPREAD: Final = 0.1  # share by which a wait that was told is stretched, lest all come back at once


@dataclass(slots=True)
class Tries:
    """What this request has tried in one pool."""

    count: int = 0
    failure: tuple[Target, UpstreamError] | None = None  # the last

    @property
    def may_go_on(self) -> bool:
        """Whether the settings of the target that failed allow one more attempt."""
        if self.failure is None:
            return False
        target, error = self.failure
        word = error.effect.word
        return self.count < target.retry.attempts and (word is None or word in target.retry.when)


class Search:
    """Whom one request has tried and may try yet. `failure`: of the last attempt; `refusal`: of the last pool that was too full."""

    __slots__ = (
        "_again_at",
        "_arrived_at",
        "_context",
        "_loop",
        "_now",
        "_patience_s",
        "_services",
        "_x",
        "failure",
        "hops",
        "refusal",
        "tries",
    )

    def __init__(self, x: Exchange, path: Path, services: Services) -> None:
        self.hops = path.hops
        self.tries: dict[str, Tries] = {}  # by pool
        self.failure: GatewayError | None = None
        self.refusal: GatewayError | None = None
        self._x = x
        self._services = services
        self._loop = asyncio.get_running_loop()
        self._now = services.clock.monotonic
        self._arrived_at = self._loop.time() - (self._now() - x.received_at)
        self._again_at: dict[Endpoint, float] = {}  # that failed, and when they may be asked again; `inf`: not at all
        self._context = 0  # tokens: only larger windows are of use
        self._patience_s: float | None = None  # left for waits that endpoints told us

    # Who is asked

    def next(self, hop: Hop) -> Target | None:
        """Give who is asked now: somebody new, else somebody whose fault may have passed."""
        found = self._found(hop, self._again_at)
        if not found and self._again_at:
            now, found = self._now(), self._found(hop, self._final())
            # Timers may be early by a trifle: then all of them are as good as ready.
            found = [target for target in found if self._again_at[target.endpoint] <= now] or found
        if len(found) < 2:
            return found[0] if found else None
        return self.pick(hop, found)

    def others(self, hop: Hop, than: Target) -> list[Target]:
        """Give those who were not tried and could be asked beside one that is slow; none where it is too late for that."""
        found = self._found(hop, {than.endpoint, *self._again_at})
        return found if found and not self.is_too_late(found[0]) else []

    def pick(self, hop: Hop, among: Sequence[Target]) -> Target:
        """Give one of several as the pool's balancer has it."""
        return pick(hop, among, self.facts(hop), self._services.rng)

    def is_worth_waiting(self, hop: Hop) -> bool:
        """Whether there is anybody in a pool to wait for, has it room or not."""
        now, final, is_warming = self._now(), self._final(), self._services.children.is_warming
        return any(self._is_of_use(one, now, final) and not is_warming(one.endpoint.provider) for one in hop.targets)

    def is_new(self, target: Target) -> bool:
        """Whether a target was not tried and could be asked now, where it has room and is up."""
        return self._is_of_use(target, self._now(), self._again_at)

    def _found(self, hop: Hop, without: Container[Endpoint]) -> list[Target]:
        return candidates(hop, self._x.path, self._now(), self._services.children.is_warming, without, self._context)

    def _is_of_use(self, target: Target, at: float, without: Container[Endpoint]) -> bool:
        return can_be_asked(target, self._x.path, at, without, self._context)

    def _final(self) -> set[Endpoint]:
        """Give the endpoints that are not asked again: they would say the same, or want too much patience."""
        return {endpoint for endpoint, again_at in self._again_at.items() if again_at == inf}

    # Once more

    def once_more(self, hop: Hop, tries: Tries) -> tuple[float, float] | None:
        """Give after what pause a pool may be asked once more (none, for somebody new), and how long it pays to wait for leave.

        None where it may not be, or not in time.
        """
        if tries.failure is None or not tries.may_go_on:
            return None
        target, _ = tries.failure
        if self._found(hop, self._again_at):
            pause = 0.0
        else:
            again_at = [self._again_at[target.endpoint] for target in self._found(hop, self._final())]
            if not again_at:
                return None
            pause = max(0.0, min(again_at) - self._now())
        if self.is_too_late(target, pause):
            return None
        # Where nobody stands behind this pool, giving up is all that is left: then it pays to wait for slow answers too.
        return pause, target.retry.retry_after_cap_s if hop is self.hops[-1] else target.retry.backoff_cap_s

    def told_wait(self) -> tuple[Hop, float] | None:
        """Give the pool of whoever told us the shortest wait, and that wait; None where there is none, or no time for it.

        What is given is spent: a request's patience for such waits is one, however many there are.
        """
        now, final = self._now(), self._final()
        soonest, found = inf, None
        for hop in self.hops:
            tries = self.tries.get(hop.pool)
            for target in hop.targets:
                endpoint, retry = target.endpoint, target.retry
                told_s = endpoint.told_until - now
                if endpoint.rests_until <= now or told_s > retry.retry_after_cap_s or told_s >= soonest:
                    continue
                may = "rate_limited" in retry.when if tries is None else tries.may_go_on
                if may and self._is_of_use(target, endpoint.told_until, final):
                    soonest, found = told_s, (hop, target)
        if found is None:
            return None
        hop, target = found
        pause = soonest * (1.0 + TOLD_SPREAD * self._services.rng.random())
        left_s = target.retry.retry_after_cap_s * (1.0 + TOLD_SPREAD) if self._patience_s is None else self._patience_s
        if pause > left_s or self.is_too_late(target, pause):
            return None
        self._patience_s = left_s - pause
        return hop, pause

    def soonest(self) -> tuple[Hop, Target] | None:
        """Give who is asked in spite of its breaker, where every breaker is open and the first pool wants that."""
        if self.tries or self.refusal or not self.hops or self.hops[0].all_open != "soonest":
            return None
        targets = [(hop, target) for hop in self.hops for target in hop.targets]
        if any(target.endpoint.breaker.is_available for _, target in targets):
            return None
        now = self._now()
        resting = [(hop, one) for hop, one in targets if one.endpoint.is_in_rotation(now) and one.has_room]
        return min(resting, key=lambda found: found[1].endpoint.breaker.retry_in_s(), default=None)

    # What an attempt has taught

    def leads_on(self, error: UpstreamError, target: Target) -> bool:
        """Whether anybody else may be asked after `error`; notes what it tells of the endpoint and of the request."""
        if isinstance(error, UpstreamRateLimited) and error.retry_after_s and not target.model.is_family:
            # A family is many models behind one endpoint: the limit of one says nothing of the others.
            now, endpoint = self._now(), target.endpoint
            endpoint.told_until = now + error.retry_after_s
            endpoint.rests_until = now + min(error.retry_after_s, target.retry.retry_after_cap_s)
        elif isinstance(error, CredentialRefused):
            self._services.directory.refuse_key(target.endpoint, target.other_keys)
        match error.effect.elsewhere:
            case "bigger_window":
                self._context = max(self._context, target.model.context or 0)
                return self._context > 0
            case "if_configured":
                return error.effect.word in target.retry.when
            case answer:
                return answer == "yes"

    def note_failure(self, hop: Hop, target: Target, error: UpstreamError) -> None:
        """Note that an endpoint has failed, and from when on it may be asked again."""
        tries, retry, told_s = self.tries[hop.pool], target.retry, error.retry_after_s or 0.0
        tries.failure = target, error
        if not error.effect.again or told_s > retry.retry_after_cap_s:
            again_at = inf
        else:
            again_at = self._now() + max(told_s, pause_s(tries.count, retry, self._services.rng))
        self._again_at[target.endpoint] = again_at

    def nobody(self) -> GatewayError:
        """Say why nobody was asked, and when that may change."""
        if not self.hops:
            return NoCapacity("the provider of this model is off")
        path = self._x.path
        if not any(path in target.ways for hop in self.hops for target in hop.targets):
            return InvalidRequest(f"this model can't be asked at {path}", param="model", code="unsupported_endpoint")
        now = self._now()
        waits = [
            (left_s, endpoint.rests_until > now and endpoint.breaker.is_available)
            for hop in self.hops
            for target in hop.targets
            if (left_s := wait_s(endpoint := target.endpoint, now)) is not None
        ]
        left_s, is_told = min(waits, default=(0.0, False))
        if is_told:
            return UpstreamRateLimited("the provider is rate limited", retry_after_s=left_s)
        message = "no endpoint that could answer can be asked now"
        return NoCapacity(message, retry_after_s=max(left_s, LEAST_RETRY_S))

    # Facts

    def facts(self, hop: Hop) -> Facts:
        """Give what a pool's balancer decides by."""
        request = self._x.request
        assert request is not None
        kept_by = affinity(self._x, hop.affinity) if hop.affinity else ""
        return Facts(self._now(), request.stream, kept_by)

    def total_at(self, target: Target) -> float | None:
        """Give when the total clock runs out, in the loop's time."""
        total_s = target.clocks.total_s
        return None if total_s is None else self._arrived_at + total_s

    def is_too_late(self, target: Target, pause: float = 0.0) -> bool:
        """Whether the total clock will have run out after a pause."""
        total_at = self.total_at(target)
        return total_at is not None and self._loop.time() + pause >= total_at

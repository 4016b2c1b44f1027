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
from gateway.pools.endpoint import Endpoint
from gateway.pools.route_plan import PoolStage, RoutePlan
from gateway.pools.selection import can_be_asked, candidates, pick, wait_s
from gateway.pools.target import Target
from gateway.resilience.retry import backoff_pause_s
from gateway.routing.conversation import affinity
from gateway.snapshot import Services

MIN_NO_ENDPOINT_RETRY_S: Final = 1.0  # what a client is told to wait where nobody can tell
TOLD_SPREAD: Final = 0.1  # share by which a wait that was told is stretched, lest all come back at once


@dataclass(slots=True)
class PoolAttempts:
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


class FailoverState:
    """Whom one request has tried and may try yet. `failure`: of the last attempt; `refusal`: of the last pool that was too full."""

    __slots__ = (
        "_again_at",
        "_arrived_at",
        "_context",
        "_exchange",
        "_loop",
        "_now",
        "_patience_s",
        "_services",
        "attempted",
        "failure",
        "refusal",
        "stages",
    )

    def __init__(self, exchange: Exchange, path: RoutePlan, services: Services) -> None:
        self.stages = path.stages
        self.attempted: dict[str, PoolAttempts] = {}  # by pool
        self.failure: GatewayError | None = None
        self.refusal: GatewayError | None = None
        self._exchange = exchange
        self._services = services
        self._loop = asyncio.get_running_loop()
        self._now = services.clock.monotonic
        self._arrived_at = self._loop.time() - (self._now() - exchange.received_at)
        self._again_at: dict[Endpoint, float] = {}  # that failed, and when they may be asked again; `inf`: not at all
        self._context = 0  # tokens: only larger windows are of use
        self._patience_s: float | None = None  # left for waits that endpoints told us

    # Who is asked

    def next(self, stage: PoolStage) -> Target | None:
        """Give who is asked now: somebody new, else somebody whose fault may have passed."""
        found = self._found(stage, self._again_at)
        if not found and self._again_at:
            now, found = self._now(), self._found(stage, self._final())
            # Timers may be early by a trifle: then all of them are as good as ready.
            found = [target for target in found if self._again_at[target.endpoint] <= now] or found
        if len(found) < 2:
            return found[0] if found else None
        return self.pick(stage, found)

    def others(self, stage: PoolStage, than: Target) -> list[Target]:
        """Give those who were not tried and could be asked beside one that is slow; none where it is too late for that."""
        found = self._found(stage, {than.endpoint, *self._again_at})
        return found if found and not self.is_too_late(found[0]) else []

    def pick(self, stage: PoolStage, among: Sequence[Target]) -> Target:
        """Give one of several as the pool's balancer has it."""
        return pick(stage, among, self.facts(stage), self._services.rng)

    def is_worth_waiting(self, stage: PoolStage) -> bool:
        """Whether there is anybody in a pool to wait for, has it room or not."""
        now, final, is_warming = self._now(), self._final(), self._services.managed_servers.is_warming
        return any(self._is_of_use(one, now, final) and not is_warming(one.endpoint.provider) for one in stage.targets)

    def is_new(self, target: Target) -> bool:
        """Whether a target was not tried and could be asked now, where it has room and is up."""
        return self._is_of_use(target, self._now(), self._again_at)

    def _found(self, stage: PoolStage, without: Container[Endpoint]) -> list[Target]:
        return candidates(
            stage, self._exchange.path, self._now(), self._services.managed_servers.is_warming, without, self._context
        )

    def _is_of_use(self, target: Target, at: float, without: Container[Endpoint]) -> bool:
        return can_be_asked(target, self._exchange.path, at, without, self._context)

    def _final(self) -> set[Endpoint]:
        """Give the endpoints that are not asked again: they would say the same, or want too much patience."""
        return {endpoint for endpoint, again_at in self._again_at.items() if again_at == inf}

    # Once more

    def once_more(self, stage: PoolStage, attempted: PoolAttempts) -> tuple[float, float] | None:
        """Give after what pause a pool may be asked once more (none, for somebody new), and how long it pays to wait for leave.

        None where it may not be, or not in time.
        """
        if attempted.failure is None or not attempted.may_go_on:
            return None
        target, _ = attempted.failure
        if self._found(stage, self._again_at):
            pause = 0.0
        else:
            again_at = [self._again_at[target.endpoint] for target in self._found(stage, self._final())]
            if not again_at:
                return None
            pause = max(0.0, min(again_at) - self._now())
        if self.is_too_late(target, pause):
            return None
        # Where nobody stands behind this pool, giving up is all that is left: then it pays to wait for slow answers too.
        return pause, target.retry.retry_after_cap_s if stage is self.stages[-1] else target.retry.backoff_cap_s

    def told_wait(self) -> tuple[PoolStage, float] | None:
        """Give the pool of whoever told us the shortest wait, and that wait; None where there is none, or no time for it.

        What is given is spent: a request's patience for such waits is one, however many there are.
        """
        now, final = self._now(), self._final()
        soonest, found = inf, None
        for stage in self.stages:
            attempted = self.attempted.get(stage.pool)
            for target in stage.targets:
                endpoint, retry = target.endpoint, target.retry
                told_s = endpoint.told_until - now
                if endpoint.rests_until <= now or told_s > retry.retry_after_cap_s or told_s >= soonest:
                    continue
                may = "rate_limited" in retry.when if attempted is None else attempted.may_go_on
                if may and self._is_of_use(target, endpoint.told_until, final):
                    soonest, found = told_s, (stage, target)
        if found is None:
            return None
        stage, target = found
        pause = soonest * (1.0 + TOLD_SPREAD * self._services.rng.random())
        left_s = target.retry.retry_after_cap_s * (1.0 + TOLD_SPREAD) if self._patience_s is None else self._patience_s
        if pause > left_s or self.is_too_late(target, pause):
            return None
        self._patience_s = left_s - pause
        return stage, pause

    def soonest(self) -> tuple[PoolStage, Target] | None:
        """Give who is asked in spite of its breaker, where every breaker is open and the first pool wants that."""
        if self.attempted or self.refusal or not self.stages or self.stages[0].all_open != "soonest":
            return None
        targets = [(stage, target) for stage in self.stages for target in stage.targets]
        if any(target.endpoint.breaker.is_available for _, target in targets):
            return None
        now = self._now()
        resting = [(stage, one) for stage, one in targets if one.endpoint.is_in_rotation(now) and one.has_room]
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

    def note_failure(self, stage: PoolStage, target: Target, error: UpstreamError) -> None:
        """Note that an endpoint has failed, and from when on it may be asked again."""
        attempted, retry, told_s = self.attempted[stage.pool], target.retry, error.retry_after_s or 0.0
        attempted.failure = target, error
        if not error.effect.again or told_s > retry.retry_after_cap_s:
            again_at = inf
        else:
            again_at = self._now() + max(told_s, backoff_pause_s(attempted.count, retry, self._services.rng))
        self._again_at[target.endpoint] = again_at

    def nobody(self) -> GatewayError:
        """Say why nobody was asked, and when that may change."""
        if not self.stages:
            return NoCapacity("the provider of this model is off")
        path = self._exchange.path
        if not any(path in target.bindings for stage in self.stages for target in stage.targets):
            return InvalidRequest(f"this model can't be asked at {path}", param="model", code="unsupported_endpoint")
        now = self._now()
        waits = [
            (left_s, endpoint.rests_until > now and endpoint.breaker.is_available)
            for stage in self.stages
            for target in stage.targets
            if (left_s := wait_s(endpoint := target.endpoint, now)) is not None
        ]
        left_s, is_told = min(waits, default=(0.0, False))
        if is_told:
            return UpstreamRateLimited("the provider is rate limited", retry_after_s=left_s)
        message = "no endpoint that could answer can be asked now"
        return NoCapacity(message, retry_after_s=max(left_s, MIN_NO_ENDPOINT_RETRY_S))

    # Facts

    def facts(self, stage: PoolStage) -> Facts:
        """Give what a pool's balancer decides by."""
        request = self._exchange.request
        assert request is not None
        kept_by = affinity(self._exchange, stage.affinity) if stage.affinity else ""
        return Facts(self._now(), request.stream, kept_by)

    def total_at(self, target: Target) -> float | None:
        """Give when the total clock runs out, in the loop's time."""
        total_s = target.timeouts.total_s
        return None if total_s is None else self._arrived_at + total_s

    def is_too_late(self, target: Target, pause: float = 0.0) -> bool:
        """Whether the total clock will have run out after a pause."""
        total_at = self.total_at(target)
        return total_at is not None and self._loop.time() + pause >= total_at

"""What one request has tried and may still try: the next target, the next retry, the reason why none is left.

Nothing here waits: it decides, and `dispatcher` waits for what was decided.
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
from gateway.pools.balancers.base import RequestFacts
from gateway.pools.endpoint import Endpoint
from gateway.pools.route_plan import PoolStage, RoutePlan
from gateway.pools.selection import available_in_s, eligible_targets, is_eligible, pick
from gateway.pools.target import Target
from gateway.resilience.retry import backoff_pause_s
from gateway.routing.conversation import affinity
from gateway.snapshot import Services
from gateway.upstream.attempt import STALE

LEAST_RETRY_AFTER_S: Final = 1.0  # sent to a client where no endpoint says when it is available again
RETRY_AFTER_SPREAD: Final = (
    0.1  # share by which a provider's `Retry-After` is stretched, so that waiters do not return at once
)


@dataclass(slots=True)
class PoolAttempts:
    """The attempts of one request in one pool."""

    count: int = 0
    resends: int = 0  # on top of them: requests that were sent again because a kept connection closed
    failure: tuple[Target, UpstreamError] | None = None  # the last

    @property
    def may_retry(self) -> bool:
        """Whether the settings of the target that failed allow one more attempt."""
        if self.failure is None:
            return False
        target, error = self.failure
        word = error.effect.retry_word
        return self.count + self.resends < target.retry.attempts and (word is None or word in target.retry.when)


class FailoverState:
    """The endpoints that one request has tried and may try. `failure`: of the last attempt; `refusal`: of the last full pool."""

    __slots__ = (
        "_arrived_at",
        "_context",
        "_exchange",
        "_loop",
        "_now",
        "_patience_s",
        "_retry_at",
        "_services",
        "attempts",
        "failure",
        "refusal",
        "stages",
    )

    def __init__(self, exchange: Exchange, plan: RoutePlan, services: Services) -> None:
        self.stages = plan.stages
        self.attempts: dict[str, PoolAttempts] = {}  # by pool
        self.failure: GatewayError | None = None
        self.refusal: GatewayError | None = None
        self._exchange = exchange
        self._services = services
        self._loop = asyncio.get_running_loop()
        self._now = services.clock.monotonic
        self._arrived_at = self._loop.time() - (self._now() - exchange.timeline.received_at)
        self._retry_at: dict[Endpoint, float] = {}  # endpoints that failed, and when they may be retried; `inf`: never
        self._context = 0  # tokens: only larger windows are of use
        self._patience_s: float | None = None  # left for waits that `Retry-After` asks for

    # The next target

    def next(self, stage: PoolStage) -> Target | None:
        """Return the target to try now: one without an attempt, else one whose fault may have passed."""
        found = self._eligible(stage, self._retry_at)
        if not found and self._retry_at:
            now, found = self._now(), self._eligible(stage, self._final())
            # Timers may be early by a trifle: then every endpoint counts as ready.
            found = [target for target in found if self._retry_at[target.endpoint] <= now] or found
        if len(found) < 2:
            return found[0] if found else None
        return self.pick(stage, found)

    def others(self, stage: PoolStage, than: Target) -> list[Target]:
        """Return targets without an attempt that may run beside a slow one; none where it is too late for that."""
        found = self._eligible(stage, {than.endpoint, *self._retry_at})
        return found if found and not self.is_too_late(found[0]) else []

    def pick(self, stage: PoolStage, among: Sequence[Target]) -> Target:
        """Return the choice of the pool's balancer."""
        return pick(stage, among, self.facts(stage), self._services.rng)

    def is_worth_waiting(self, stage: PoolStage) -> bool:
        """Whether a pool has a target to wait for, with room or without."""
        now, final, is_warming = self._now(), self._final(), self._services.managed_servers.is_warming
        return any(
            self._is_eligible(target, now, final) and not is_warming(target.endpoint.provider)
            for target in stage.targets
        )

    def is_new(self, target: Target) -> bool:
        """Whether a target has no attempt yet and is eligible, apart from its room and whether it is warm."""
        return self._is_eligible(target, self._now(), self._retry_at)

    def _eligible(self, stage: PoolStage, without: Container[Endpoint]) -> list[Target]:
        is_warming = self._services.managed_servers.is_warming
        return eligible_targets(stage, self._exchange.path, self._now(), is_warming, without, self._context)

    def _is_eligible(self, target: Target, at: float, without: Container[Endpoint]) -> bool:
        return is_eligible(target, self._exchange.path, at, without, self._context)

    def _final(self) -> set[Endpoint]:
        """Return the endpoints that are not retried: they would fail the same way, or need too much patience."""
        return {endpoint for endpoint, retry_at in self._retry_at.items() if retry_at == inf}

    # Retries

    def next_retry(self, stage: PoolStage, made: PoolAttempts) -> tuple[float, float] | None:
        """Return the pause before a pool is retried (0.0 for a member without an attempt), and how long to wait for a token.

        None where it may not be retried, or not in time.
        """
        if made.failure is None or not made.may_retry:
            return None
        target, _ = made.failure
        if self._eligible(stage, self._retry_at):
            pause = 0.0
        else:
            retry_at = [self._retry_at[target.endpoint] for target in self._eligible(stage, self._final())]
            if not retry_at:
                return None
            pause = max(0.0, min(retry_at) - self._now())
        if self.is_too_late(target, pause):
            return None
        # Without a pool behind this one, giving up is all that is left: then it pays to wait for slow answers too.
        is_last = stage is self.stages[-1]
        return pause, target.retry.retry_after_cap_s if is_last else target.retry.backoff_cap_s

    def next_rested(self) -> tuple[PoolStage, float] | None:
        """Return the pool of the endpoint with the shortest `Retry-After` and the time to wait; None where there is no time.

        The wait is spent when it is returned: a request's patience for such waits is one, however many there are.
        """
        now, final = self._now(), self._final()
        soonest, found = inf, None
        for stage in self.stages:
            made = self.attempts.get(stage.pool)
            for target in stage.targets:
                endpoint, retry = target.endpoint, target.retry
                wait = endpoint.retry_after_until - now
                if endpoint.resting_until <= now or wait > retry.retry_after_cap_s or wait >= soonest:
                    continue
                may = "rate_limited" in retry.when if made is None else made.may_retry
                if may and self._is_eligible(target, endpoint.retry_after_until, final):
                    soonest, found = wait, (stage, target)
        if found is None:
            return None
        stage, target = found
        pause = soonest * (1.0 + RETRY_AFTER_SPREAD * self._services.rng.random())
        left_s = self._patience_s
        if left_s is None:
            left_s = target.retry.retry_after_cap_s * (1.0 + RETRY_AFTER_SPREAD)
        if pause > left_s or self.is_too_late(target, pause):
            return None
        self._patience_s = left_s - pause
        return stage, pause

    def soonest(self) -> tuple[PoolStage, Target] | None:
        """Return the target whose breaker recovers soonest, where all are open and the first pool has `all_open: soonest`."""
        if self.attempts or self.refusal or not self.stages or self.stages[0].all_open != "soonest":
            return None
        targets = [(stage, target) for stage in self.stages for target in stage.targets]
        if any(target.endpoint.breaker.is_available for _, target in targets):
            return None
        now = self._now()
        resting = [(stage, one) for stage, one in targets if one.endpoint.is_in_rotation(now) and one.has_room]
        return min(resting, key=lambda found: found[1].endpoint.breaker.retry_in_s(), default=None)

    # After a failure

    def may_fail_over(self, error: UpstreamError, target: Target) -> bool:
        """Whether any other endpoint may be tried after `error`; notes what it tells of the endpoint and of the request."""
        if isinstance(error, UpstreamRateLimited) and error.retry_after_s and not target.model.is_family:
            # A family is many models behind one endpoint: the limit of one says nothing of the others.
            now, endpoint = self._now(), target.endpoint
            endpoint.retry_after_until = now + error.retry_after_s
            endpoint.resting_until = now + min(error.retry_after_s, target.retry.retry_after_cap_s)
        elif isinstance(error, CredentialRefused):
            self._services.directory.mark_key_refused(target.endpoint, target.other_keys)
        match error.effect.failover:
            case "bigger_window":
                self._context = max(self._context, target.model.context or 0)
                return self._context > 0
            case "if_configured":
                return error.effect.retry_word in target.retry.when
            case answer:
                return answer == "yes"

    def note_failure(self, stage: PoolStage, target: Target, error: UpstreamError) -> None:
        """Note that an endpoint failed, and when it may be retried."""
        made, retry, asked_s = self.attempts[stage.pool], target.retry, error.retry_after_s or 0.0
        made.failure = target, error
        made.resends = sum(one.code == STALE and one.pool == stage.pool for one in self._exchange.attempts)
        if not error.effect.same_endpoint or error.should_retry is False or asked_s > retry.retry_after_cap_s:
            retry_at = inf
        else:
            retry_at = self._now() + max(asked_s, backoff_pause_s(made.count, retry, self._services.rng))
        self._retry_at[target.endpoint] = retry_at

    def unavailable(self) -> GatewayError:
        """Return the error that says why no endpoint was tried, and when that may change."""
        if not self.stages:
            return NoCapacity("the provider of this model is off")
        path = self._exchange.path
        if not any(path in target.bindings for stage in self.stages for target in stage.targets):
            return InvalidRequest(f"this model can't be asked at {path}", param="model", code="unsupported_endpoint")
        now = self._now()
        waits = [
            (left_s, endpoint.resting_until > now and endpoint.breaker.is_available)
            for stage in self.stages
            for target in stage.targets
            if (left_s := available_in_s(endpoint := target.endpoint, now)) is not None
        ]
        left_s, is_rate_limited = min(waits, default=(0.0, False))
        if is_rate_limited:
            return UpstreamRateLimited("the provider is rate limited", retry_after_s=left_s)
        message = "no endpoint is available"
        return NoCapacity(message, retry_after_s=max(left_s, LEAST_RETRY_AFTER_S))

    # Facts

    def facts(self, stage: PoolStage) -> RequestFacts:
        """Return what a pool's balancer decides by."""
        request = self._exchange.request
        assert request is not None
        kept_by = affinity(self._exchange, stage.affinity) if stage.affinity else ""
        return RequestFacts(self._now(), request.stream, kept_by)

    def total_at(self, target: Target) -> float | None:
        """Return when the total timeout ends, in the loop's time."""
        total_s = target.timeouts.total_s
        return None if total_s is None else self._arrived_at + total_s

    def is_too_late(self, target: Target, pause: float = 0.0) -> bool:
        """Whether the total timeout will have ended after a pause."""
        total_at = self.total_at(target)
        return total_at is not None and self._loop.time() + pause >= total_at

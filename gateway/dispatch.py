"""Attempts: from the pools that may answer a request to the endpoint that does.

Pools are asked in fallback order. In each, members that have not been tried come first and at once, then those whose fault
may pass are asked again after a pause; every attempt beyond a pool's first needs its fault's word in `retry.when`, one
of `retry.attempts`, and a token of the pool's budget. A pool behind `then:` is failover, and needs none of that. What a
fault leads to stands in `core.faults`.

Those that need patience are asked last: a server that still warms up, an endpoint that told us how long to wait.

An endpoint is left for another only while nothing has been sent to the client; that point once passed, an error is the
client's to see.
"""

import asyncio
from collections.abc import AsyncIterator, Container
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from gateway.attempt import Trial, Upstream, ask
from gateway.core.errors import (
    CredentialRefused,
    DeadlineExceeded,
    GatewayError,
    NoCapacity,
    Overloaded,
    UpstreamError,
    UpstreamRateLimited,
)
from gateway.core.exchange import Exchange
from gateway.hedge import race
from gateway.pools.balancers.base import Facts
from gateway.pools.choice import candidates, pick
from gateway.pools.endpoint import Endpoint, Hop, Path, Target
from gateway.resilience.backoff import pause_s
from gateway.resilience.retry import RetryToken
from gateway.routing.conversation import affinity
from gateway.snapshot import Services, Snapshot

__all__ = ["Upstream", "dispatch"]

TOKENS_UNSAID: Final = 256  # of an answer whose request sets no bound: its part in the fair order of a queue
TOLD_SPREAD: Final = 0.1  # share by which a wait that was told is stretched, lest all come back at once


@asynccontextmanager
async def dispatch(x: Exchange, path: Path, snapshot: Snapshot, services: Services) -> AsyncIterator[Upstream]:
    """Ask until somebody answers, and give the answer; leaving closes it.

    Raises the error of the last attempt where nobody answers, `CapacityError` where nobody could be asked.
    """
    with await _Search(x, path, snapshot, services).run() as trial:
        yield trial.upstream


@dataclass(slots=True)
class _Tries:
    """What this request has tried in one pool."""

    count: int = 0
    failure: UpstreamError | None = None  # the last


class _Search:
    """One request's way over its pools to an answer: it decides without waiting, then waits for what it decided."""

    def __init__(self, x: Exchange, path: Path, snapshot: Snapshot, services: Services) -> None:
        self._x = x
        self._hops = path.hops
        self._keepalive_s = path.keepalive_s
        self._snapshot = snapshot
        self._services = services
        self._loop = asyncio.get_running_loop()
        self._now = services.clock.monotonic
        self._arrived_at = self._loop.time() - (self._now() - x.received_at)
        self._tries: dict[str, _Tries] = {}  # by pool
        self._failed: dict[Endpoint, UpstreamError] = {}
        self._failure: GatewayError | None = None  # of the last attempt
        self._refusal: GatewayError | None = None  # of the last pool that was too full
        self._context = 0  # tokens: only larger windows are of use
        self._facts: Facts | None = None
        self._patience_s: float | None = None  # left for waits that endpoints told us

    async def run(self) -> Trial:
        """Give the attempt that was answered; the caller ends it."""
        for hop in self._hops:
            if (trial := await self._ask_pool(hop)) is not None:
                return trial
        for hop in self._hops:
            for target in hop.targets:
                is_warming = self._services.children.is_warming(target.endpoint.provider)
                if is_warming and (trial := await self._attempt(hop, target)) is not None:
                    return trial
        while (told := await self._wait_as_told()) is not None:
            if (trial := await self._ask_pool(told)) is not None:
                return trial
        if (last := self._soonest()) is not None and (trial := await self._attempt(*last, is_forced=True)) is not None:
            return trial
        raise self._failure or self._refusal or self._nobody()

    # A pool

    async def _ask_pool(self, hop: Hop) -> Trial | None:
        """Ask members of a pool until one answers; None where none does. Raises what nobody else can mend."""
        if not hop.is_gated:
            return await self._ask_members(hop)
        if not self._found(hop, self._failed) and not self._found(hop, self._final()):
            return None  # there is nobody to wait for
        gate = hop.state.gate
        try:
            if not gate.try_enter():
                await self._wait_in_line(hop)
        except Overloaded as error:
            self._refusal = error
            return None
        trial, entered_at = None, self._now()
        try:
            trial = await self._ask_members(hop)
            return trial
        finally:
            if trial is None:
                gate.leave(self._now() - entered_at)
            else:
                trial.hold(gate, entered_at)

    async def _wait_in_line(self, hop: Hop) -> None:
        x, request = self._x, self._x.request
        assert request is not None
        tenant = self._snapshot.spec.tenants.get(x.principal.tenant)
        since = self._now()
        try:
            await hop.state.gate.enter(
                x.principal.tenant,
                x.principal.key_id,
                1 if tenant is None else tenant.weight,
                "normal" if tenant is None else tenant.priority,
                request.tokens + (request.max_tokens or TOKENS_UNSAID),
                self._total_at(hop.targets[0]),
            )
        finally:
            x.queued_s += self._now() - since
            x.waited_s += self._now() - since

    async def _ask_members(self, hop: Hop) -> Trial | None:
        hop.state.budget.note_request(hop.targets[0].retry.budget)
        while True:
            tries, token = self._tries.get(hop.pool), None
            if tries is not None and (token := await self._permission(hop, tries)) is None:
                return None
            target = self._next(hop)
            if target is None:
                if token is not None:
                    token.abandoned()
                return None
            if hop.hedge is not None and tries is None:
                trial = await self._hedged(hop, target)
            else:
                trial = await self._attempt(hop, target, token)
            if trial is not None:
                return trial

    def _next(self, hop: Hop) -> Target | None:
        """Give who is asked now: somebody new, else somebody whose fault may have passed."""
        found = self._found(hop, self._failed)
        if not found and self._failed:
            again = self._found(hop, self._final())
            found = [one for one in again if not self._wait_of(one)] or again
        if len(found) < 2:
            return found[0] if found else None
        return pick(hop, found, self._facts_of(hop), self._services.rng)

    def _found(self, hop: Hop, without: Container[Endpoint]) -> list[Target]:
        return candidates(hop, self._now(), self._services.children.is_warming, without, self._context)

    def _final(self) -> set[Endpoint]:
        """Give the endpoints that would only say the same once more."""
        return {endpoint for endpoint, error in self._failed.items() if not error.effect.again}

    def _wait_of(self, target: Target) -> float:
        """Give how long an endpoint that failed asked us to wait; a 429's wait is kept by the endpoint itself."""
        failure = self._failed[target.endpoint]
        return 0.0 if isinstance(failure, UpstreamRateLimited) else failure.retry_after_s or 0.0

    # Another attempt in a pool

    async def _permission(self, hop: Hop, tries: _Tries) -> RetryToken | None:
        """Wait until a pool may be asked once more, and give the token for it; None where it may not."""
        retry, failure = hop.targets[0].retry, tries.failure
        if failure is None or tries.count >= retry.attempts:
            return None
        if failure.effect.word is not None and failure.effect.word not in retry.when:
            return None
        pause = 0.0
        if not self._found(hop, self._failed):
            told_s = self._told_s(hop)
            if told_s is None or told_s > retry.retry_after_cap_s:
                return None
            if not isinstance(failure, UpstreamRateLimited) or not failure.retry_after_s:  # else its wait is over by now
                pause = max(told_s, pause_s(tries.count, retry, self._services.rng))
        if self._is_too_late(hop.targets[0], pause):
            return None
        since = self._now()
        try:
            token = await hop.state.budget.take(retry.backoff_cap_s)
            if token is not None and pause:
                try:
                    await asyncio.sleep(pause)
                except BaseException:
                    token.abandoned()
                    raise
        finally:
            self._x.waited_s += self._now() - since
        outcome = "made" if token is not None else "refused"
        self._services.metrics.retries[hop.pool, outcome].value += 1
        return token

    def _told_s(self, hop: Hop) -> float | None:
        """Give the shortest wait that those ask for who may be asked again; None where there is nobody."""
        return min(map(self._wait_of, self._found(hop, self._final())), default=None)

    # One attempt

    async def _attempt(
        self, hop: Hop, target: Target, token: RetryToken | None = None, *, is_forced: bool = False
    ) -> Trial | None:
        """Ask one endpoint; None where it failed and somebody else may be asked. Raises what nobody else can mend."""
        trial = self._begin(hop, target, token, is_forced=is_forced)
        since = self._now()
        try:
            return await self._answered(hop, trial)
        finally:
            self._x.waited_s += self._now() - since

    def _begin(self, hop: Hop, target: Target, token: RetryToken | None, *, is_forced: bool = False) -> Trial:
        """Write down that an endpoint is asked, before anything waits."""
        if self._failure is not None and self._is_too_late(target):
            if token is not None:
                token.abandoned()
            raise DeadlineExceeded("no time is left for another attempt (total clock)")
        tries = self._tries.get(hop.pool)
        if tries is None:
            if hop is not self._hops[0]:
                self._services.metrics.fallbacks[hop.pool].value += 1
            tries = self._tries[hop.pool] = _Tries()
        tries.count += 1
        self._x.pool = hop.pool
        return Trial(self._x, target, token, self._services, is_forced=is_forced)

    async def _answered(self, hop: Hop, trial: Trial) -> Trial | None:
        """Wait for the answer to an attempt; None where it failed and somebody else may be asked."""
        x, target = self._x, trial.target
        limits = self._snapshot.spec.server.limits
        try:
            upstream = await ask(x, target, limits, self._services, self._total_at(target))
        except GatewayError as error:
            trial.fail(error)
            self._failure = error
            if x.committed_at or not isinstance(error, UpstreamError) or not self._leads_on(error, target):
                raise
            self._failed[target.endpoint] = self._tries[hop.pool].failure = error
            return None
        except BaseException:
            trial.abandon()
            raise
        upstream.keepalive_s = self._keepalive_s
        trial.answered(hop, upstream)
        if hop is not self._hops[0]:
            why = self._failure or self._refusal
            x.degraded = (
                f"{self._hops[0].pool}; reason={why.error_code if why is not None else 'no_endpoint_available'}"
            )
        if hop.is_sticky:
            hop.state.sticky.note(self._facts_of(hop).affinity, target.endpoint)
        return trial

    def _leads_on(self, error: UpstreamError, target: Target) -> bool:
        """Whether anybody else may be asked after `error`; notes what it tells of the endpoint and of the request."""
        if isinstance(error, UpstreamRateLimited) and error.retry_after_s:
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

    async def _hedged(self, hop: Hop, target: Target) -> Trial | None:
        """Ask one endpoint and, where it is slower than it mostly is, a second one; the first answer is taken."""
        hedge, request, services = hop.hedge, self._x.request, self._services
        assert hedge is not None and request is not None
        hop.state.hedges.note_request(hedge.share)
        recent = target.endpoint.recent_first_tokens_s if request.stream else target.endpoint.recent_answers_s
        usual_s = recent.quantile(hedge.quantile)
        trials = [self._begin(hop, target, None)]

        def second() -> "Trial | None":
            found = self._found(hop, {target.endpoint, *self._failed})
            if self._x.committed_at or not found or self._is_too_late(found[0]) or not hop.state.hedges.try_take():
                return None
            services.metrics.hedges[hop.pool].value += 1
            other = found[0] if len(found) == 1 else pick(hop, found, self._facts_of(hop), services.rng)
            trials.append(self._begin(hop, other, None))
            return trials[1]

        since = self._now()
        try:
            winner = await race(
                lambda trial: self._answered(hop, trial),
                trials[0],
                second,
                hedge.after_s if usual_s is None else usual_s,
            )
        finally:
            self._x.waited_s += self._now() - since
        if winner is not None and len(trials) > 1:
            loser = trials[0] if winner is trials[1] else trials[1]
            price = self._snapshot.prices[loser.target.model.name]
            self._x.lost_picodollars += price.input * request.tokens  # its prompt has been read
        return winner

    # Last resorts

    async def _wait_as_told(self) -> Hop | None:
        """Wait for whoever told us the shortest wait, and give its pool; None where there is none, or no time for it."""
        now, soonest, found = self._now(), None, None
        for hop in self._hops:
            tries, retry = self._tries.get(hop.pool), hop.targets[0].retry
            if (tries is not None and tries.count >= retry.attempts) or "rate_limited" not in retry.when:
                continue
            for target in hop.targets:
                endpoint = target.endpoint
                told_s = endpoint.told_until - now
                if not 0 < told_s <= retry.retry_after_cap_s or not endpoint.is_in_rotation(endpoint.told_until):
                    continue
                if endpoint.breaker.is_available and (soonest is None or told_s < soonest):
                    soonest, found = told_s, (hop, target)
        if soonest is None or found is None:
            return None
        hop, target = found
        pause = soonest * (1.0 + TOLD_SPREAD * self._services.rng.random())
        left_s = target.retry.retry_after_cap_s * (1.0 + TOLD_SPREAD) if self._patience_s is None else self._patience_s
        if pause > left_s or self._is_too_late(target, pause):
            return None
        self._patience_s = left_s - pause
        await asyncio.sleep(pause)
        self._x.waited_s += pause
        return hop

    def _soonest(self) -> tuple[Hop, Target] | None:
        """Give who is asked in spite of its breaker, where every breaker is open and the first pool wants that."""
        if self._tries or not self._hops or self._hops[0].all_open != "soonest":
            return None
        now = self._now()
        resting = [
            (target.endpoint.breaker.retry_in_s(), hop, target)
            for hop in self._hops
            for target in hop.targets
            if target.endpoint.is_in_rotation(now) and target.has_room
        ]
        return min(resting, key=lambda one: one[0])[1:] if resting else None

    def _nobody(self) -> GatewayError:
        """Say why nobody was asked, and when that may change."""
        if not self._hops:
            return NoCapacity("the provider of this model is off")
        now = self._now()
        endpoints = [target.endpoint for hop in self._hops for target in hop.targets]
        told_s = [one.told_until - now for one in endpoints if one.rests_until > now and one.breaker.is_available]
        if told_s:
            return UpstreamRateLimited("the provider is rate limited", retry_after_s=min(told_s))
        wait_s = min(one.breaker.retry_in_s() for one in endpoints)
        return NoCapacity("no endpoint that could answer can be asked now", retry_after_s=max(wait_s, 1.0))

    # Facts

    def _facts_of(self, hop: Hop) -> Facts:
        request = self._x.request
        assert request is not None
        kept_by = affinity(self._x, hop.affinity) if hop.affinity else ""
        return Facts(self._now(), request.stream, kept_by)

    def _total_at(self, target: Target) -> float | None:
        """Give when the total clock runs out, in the loop's time."""
        total_s = target.clocks.total_s
        return None if total_s is None else self._arrived_at + total_s

    def _is_too_late(self, target: Target, pause: float = 0.0) -> bool:
        total_at = self._total_at(target)
        return total_at is not None and self._loop.time() + pause >= total_at

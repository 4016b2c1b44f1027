"""Attempts: from the pools that may answer a request to the endpoint that does.

Pools are asked in fallback order. In each, members that have not been tried come first and at once, then those whose fault
may pass are asked again after a pause; every attempt beyond a pool's first needs its fault's word in `retry.when`, one
of `retry.attempts`, and a token of the pool's budget. The settings of the target that failed decide. A pool behind `then:`
is failover, and needs none of that. What a fault leads to stands in `core.faults`.

Those that need patience are asked last: a server that still warms up, an endpoint that told us how long to wait. Whoever is
asked has entered the gate of its pool, where that has one.

An endpoint is left for another only while nothing has been sent to the client; that point once passed, an error is the
client's to see.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from gateway.config.spec import LimitsSpec
from gateway.core.errors import DeadlineExceeded, GatewayError, Overloaded, StillWarming, UpstreamError
from gateway.core.exchange import Exchange
from gateway.pools.concurrency import QueueEntry
from gateway.pools.route_plan import PoolStage, RoutePlan
from gateway.pools.target import Target
from gateway.resilience.retry import RetryToken
from gateway.snapshot import Services, Snapshot
from gateway.upstream.attempt import Attempt, Upstream, ask
from gateway.upstream.failover import FailoverState, PoolAttempts
from gateway.upstream.hedge import race

__all__ = ["Upstream", "dispatch"]

TOKENS_UNSAID: Final = 256  # of an answer whose request sets no bound: its part in the fair order of a queue
STILL_WARMING_S: Final = 1.0  # a guess at how long a server still takes to come up

Ask = Callable[[Exchange, Target, LimitsSpec, Services, float | None], Awaitable[Upstream]]


async def dispatch(
    exchange: Exchange, path: RoutePlan, snapshot: Snapshot, services: Services, ask: Ask = ask
) -> Attempt:
    """Ask until somebody answers; entering what is given gives the answer, leaving it closes that.

    `ask` puts the request to one endpoint.

    Raises the error of the last attempt where nobody answers, `CapacityError` where nobody could be asked.
    """
    return await _Dispatch(exchange, path, snapshot, services, ask).run()


class _Dispatch:
    """One request's way over its pools to an answer: it waits for what its `FailoverState` decides."""

    __slots__ = ("_ask_endpoint", "_exchange", "_keepalive_s", "_now", "_services", "_snapshot", "_state")

    def __init__(self, exchange: Exchange, path: RoutePlan, snapshot: Snapshot, services: Services, ask: Ask) -> None:
        self._exchange = exchange
        self._ask_endpoint = ask
        self._keepalive_s = path.keepalive_s
        self._snapshot = snapshot
        self._services = services
        self._now = services.clock.monotonic
        self._state = FailoverState(exchange, path, services)

    async def run(self) -> Attempt:
        """Give the attempt that was answered; the caller ends it."""
        search = self._state
        for stage in search.stages:
            if (attempt := await self._ask_pool(stage)) is not None:
                return attempt
        for stage in search.stages:
            if (attempt := await self._ask_warming(stage)) is not None:
                return attempt
        while (told := await self._wait_as_told()) is not None:
            if (attempt := await self._ask_pool(told)) is not None:
                return attempt
        if (soonest := search.soonest()) is not None:
            stage, target = soonest
            if (attempt := await self._in_turn(stage, partial(self._ask_if_room, stage, target))) is not None:
                return attempt
        raise search.failure or search.refusal or search.nobody()

    # A pool

    async def _ask_pool(self, stage: PoolStage) -> Attempt | None:
        """Ask members of a pool until one answers; None where none does. Raises what nobody else can mend."""
        if not stage.is_limited:
            return await self._ask_members(stage)
        if not self._state.is_worth_waiting(stage):
            return None
        return await self._in_turn(stage, partial(self._ask_members, stage))

    async def _in_turn(self, stage: PoolStage, ask: Callable[[], Awaitable[Attempt | None]]) -> Attempt | None:
        """Ask in a pool once there is room in it, and keep the place until the answer has ended; None where none is to be had."""
        if not stage.is_limited:
            return await ask()
        limiter = stage.state.limiter
        try:
            if not limiter.try_acquire():
                await self._wait_in_line(stage)
        except Overloaded as error:
            self._state.refusal = error
            return None
        attempt, entered_at = None, self._now()
        try:
            attempt = await ask()
            return attempt
        finally:
            if attempt is None:
                limiter.release(self._now() - entered_at)
            else:
                attempt.hold(limiter, entered_at)

    async def _wait_in_line(self, stage: PoolStage) -> None:
        exchange, request = self._exchange, self._exchange.request
        assert request is not None
        tenant = self._snapshot.spec.tenants.get(exchange.principal.tenant)
        entry = QueueEntry(
            tenant=exchange.principal.tenant,
            key=exchange.principal.key_id,
            weight=1 if tenant is None else tenant.weight,
            priority="normal" if tenant is None else tenant.priority,
            cost=request.tokens + (request.max_tokens or TOKENS_UNSAID),
        )
        since = self._now()
        try:
            await stage.state.limiter.acquire(entry, self._state.total_at(stage.targets[0]))
        finally:
            exchange.queued_s += self._now() - since
            exchange.waited_s += self._now() - since

    async def _ask_members(self, stage: PoolStage) -> Attempt | None:
        search = self._state
        while True:
            attempted, token = search.attempted.get(stage.pool), None
            if attempted is not None and (token := await self._permission(stage, attempted)) is None:
                return None
            target = search.next(stage)
            if target is None:
                if token is not None:
                    token.unused()
                return None
            if stage.hedge is not None and attempted is None:
                attempt = await self._hedged(stage, target)
            else:
                attempt = await self._attempt(stage, target, token)
            if attempt is not None:
                return attempt

    async def _permission(self, stage: PoolStage, attempted: PoolAttempts) -> RetryToken | None:
        """Wait until a pool may be asked once more, and give the token for it; None where it may not."""
        again = self._state.once_more(stage, attempted)
        if again is None:
            return None
        pause, patience_s = again
        since = self._now()
        try:
            token = await stage.state.budget.take(patience_s)
            if token is None:
                self._services.metrics.retries[stage.pool, "refused"].value += 1
            elif pause:
                try:
                    await asyncio.sleep(pause)
                except BaseException:
                    token.unused()
                    raise
        finally:
            self._exchange.waited_s += self._now() - since
        return token

    # One attempt

    async def _attempt(self, stage: PoolStage, target: Target, token: RetryToken | None = None) -> Attempt | None:
        """Ask one endpoint; None where it failed and somebody else may be asked. Raises what nobody else can mend."""
        attempt = self._begin(stage, target, token)
        since = self._now()
        try:
            answered = await self._answered(stage, attempt)
        finally:
            self._exchange.waited_s += self._now() - since
        if answered is not None:
            self._take(stage, answered)
        return answered

    def _begin(self, stage: PoolStage, target: Target, token: RetryToken | None) -> Attempt:
        """Write down that an endpoint is asked, before anything waits."""
        search = self._state
        if search.failure is not None and search.is_too_late(target):
            if token is not None:
                token.unused()
            raise DeadlineExceeded("no time is left for another attempt (total clock)")
        attempted = search.attempted.get(stage.pool)
        if attempted is None:
            if stage is not search.stages[0]:
                self._services.metrics.fallbacks[stage.pool].value += 1
            stage.state.budget.note_request(target.retry.budget)
            attempted = search.attempted[stage.pool] = PoolAttempts()
        elif token is not None:
            self._services.metrics.retries[stage.pool, "made"].value += 1
        attempted.count += 1
        self._exchange.pool = stage.pool
        return Attempt(self._exchange, target, token, self._services)

    async def _answered(self, stage: PoolStage, attempt: Attempt) -> Attempt | None:
        """Wait for the answer to an attempt; None where it failed and somebody else may be asked."""
        exchange, target = self._exchange, attempt.target
        limits = self._snapshot.spec.server.limits
        try:
            upstream = await self._ask_endpoint(exchange, target, limits, self._services, self._state.total_at(target))
        except GatewayError as error:
            attempt.fail(error)
            self._state.failure = error
            if (
                not isinstance(error, UpstreamError)
                or not self._state.leads_on(error, target)
                or exchange.committed_at
                or exchange.is_spent
            ):
                raise
            self._state.note_failure(stage, target, error)
            return None
        except BaseException:
            attempt.abandon()
            raise
        upstream.keepalive_s = self._keepalive_s
        attempt.answered(upstream)
        return attempt

    def _take(self, stage: PoolStage, attempt: Attempt) -> None:
        """Write down that this is the attempt whose answer the client gets."""
        search = self._state
        attempt.taken(stage.pool)
        meant = search.stages[0]
        if stage is not meant or attempt.target.priority != meant.targets[0].priority:
            why = search.failure or search.refusal
            reason = "no_endpoint_available" if why is None else why.error_code
            who = meant.pool if stage is not meant else meant.targets[0].model.name
            self._exchange.degraded = f"{who}; reason={reason}"
        if stage.is_sticky:
            stage.state.sticky.remember(search.facts(stage).affinity, attempt.target.endpoint)

    async def _hedged(self, stage: PoolStage, target: Target) -> Attempt | None:
        """Ask one endpoint and, where it is slower than it mostly is, a second one; the first answer is taken."""
        hedge, request, services = stage.hedge, self._exchange.request, self._services
        assert hedge is not None and request is not None
        stage.state.hedges.note_request(hedge.share)
        recent = target.endpoint.recent_first_tokens_s if request.stream else target.endpoint.recent_answers_s
        usual_s = recent.quantile(hedge.quantile)
        attempts = [self._begin(stage, target, None)]

        def second() -> "Attempt | None":
            others = [] if self._exchange.committed_at else self._state.others(stage, target)
            if not others or not stage.state.hedges.try_take():
                return None
            services.metrics.hedges[stage.pool].value += 1
            attempts.append(self._begin(stage, self._state.pick(stage, others), None))
            return attempts[1]

        since = self._now()
        try:
            winner = await race(
                lambda attempt: self._answered(stage, attempt),
                attempts[0],
                second,
                hedge.after_s if usual_s is None else usual_s,
            )
        finally:
            self._exchange.waited_s += self._now() - since
        if winner is not None:
            self._take(stage, winner)
            for loser in attempts:
                if loser is not winner and loser.was_abandoned:  # else it has failed, and costs nothing
                    price = self._snapshot.prices[loser.target.model.name]
                    self._exchange.lost_picodollars += price.input * request.tokens  # its prompt has been read
        return winner

    # Last resorts

    async def _ask_warming(self, stage: PoolStage) -> Attempt | None:
        """Wait for those of a pool that warm up, and ask them; None where none answers.

        Nothing is held meanwhile. It needs no leave to try again: that others were asked before is no fault of theirs.
        """
        for target in stage.targets:
            provider = target.endpoint.provider
            if self._services.managed_servers.is_warming(provider) and self._state.is_new(target):
                if not await self._is_warm_in_time(target):
                    message = f"{provider} is still starting"
                    self._state.failure = StillWarming(message, retry_after_s=STILL_WARMING_S)
                elif (attempt := await self._in_turn(stage, partial(self._ask_warm, stage, target))) is not None:
                    return attempt
        return None

    async def _is_warm_in_time(self, target: Target) -> bool:
        patience_s, total_at, since = target.timeouts.first_token_s, self._state.total_at(target), self._now()
        if total_at is not None:
            left_s = total_at - asyncio.get_running_loop().time()
            patience_s = left_s if patience_s is None else min(patience_s, left_s)
        try:
            await self._services.managed_servers.wait(target.endpoint.provider, patience_s)
        except TimeoutError:
            return False
        finally:
            self._exchange.waited_s += self._now() - since
        return True

    async def _ask_warm(self, stage: PoolStage, target: Target) -> Attempt | None:
        if not self._state.is_new(target):
            return None
        return await self._ask_if_room(stage, target)

    async def _ask_if_room(self, stage: PoolStage, target: Target) -> Attempt | None:
        return await self._attempt(stage, target) if target.has_room else None

    async def _wait_as_told(self) -> PoolStage | None:
        """Wait for whoever told us the shortest wait, and give its pool; None where there is none, or no time for it."""
        told = self._state.told_wait()
        if told is None:
            return None
        stage, pause = told
        await asyncio.sleep(pause)
        self._exchange.waited_s += pause
        return stage

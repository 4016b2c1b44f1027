"""From a route plan to a response: pools in failover order, in each pool attempts until one succeeds.

Over 300 lines: one state machine, read in one piece.

1. In each pool, members without an attempt come first and at once. Members whose fault may pass follow after a pause. Every
   attempt beyond a pool's first needs its fault's word in `retry.when`, one of `retry.attempts`, and a token of the pool's
   retry budget; the settings of the target that failed decide. A pool behind `then:` is failover and needs none of these.
2. Last come the members that need patience: a managed server that still warms up, an endpoint that sent `Retry-After`.

A request enters the concurrency limiter of a pool, where the pool has one, before it is sent there. What a fault leads to
stands in `core.faults`. `FailoverState` decides and never waits; `dispatch` waits for what it decided.

Failover ends at the commit point: once the client has been sent anything, an error is the client's to see.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Protocol

from gateway.accounting.cost import settle_lost_hedge
from gateway.config.spec import ServerLimitsSpec
from gateway.core.errors import DeadlineExceeded, GatewayError, Overloaded, StillWarming, UpstreamError
from gateway.core.exchange import Exchange
from gateway.core.response import Response
from gateway.pools.concurrency import QueueEntry
from gateway.pools.route_plan import PoolStage, RoutePlan
from gateway.pools.target import Target
from gateway.resilience.retry import RetryToken
from gateway.snapshot import Services, Snapshot
from gateway.upstream.attempt import Attempt
from gateway.upstream.failover import FailoverState, PoolAttempts
from gateway.upstream.hedge import race
from gateway.upstream.request import DIALECT_CALL

DEFAULT_OUTPUT_TOKENS: Final = 256  # weight in the fair queue of an answer whose request sets no bound
STILL_WARMING_S: Final = 1.0  # a guess at how long a server still takes to come up


class EndpointCall(Protocol):
    """How one request is put to one endpoint: `upstream.request.DialectCall`, `upstream.passthrough.PassthroughCall`."""

    def send(
        self, exchange: Exchange, target: Target, limits: ServerLimitsSpec, services: Services, total_at: float | None
    ) -> Awaitable[Response]:
        """Return the response as far as failover is still possible. Raises `UpstreamError`; then nothing is left open."""
        ...


def dispatch(
    exchange: Exchange,
    plan: RoutePlan,
    snapshot: Snapshot,
    services: Services,
    call: EndpointCall = DIALECT_CALL,
) -> Awaitable[Attempt]:
    """Return the attempt that succeeded: entering it gives the response, leaving it closes the response.

    Raises the error of the last attempt where none succeeds, `CapacityError` where no endpoint was available.
    """
    return _Dispatcher(exchange, plan, snapshot, services, call).run()


class _Dispatcher:
    """One request on its way over its pools to a response."""

    __slots__ = ("_call", "_exchange", "_keepalive_s", "_now", "_services", "_snapshot", "_state", "_waited_s")

    def __init__(
        self, exchange: Exchange, plan: RoutePlan, snapshot: Snapshot, services: Services, call: EndpointCall
    ) -> None:
        self._exchange = exchange
        self._call = call
        self._keepalive_s = plan.keepalive_s
        self._snapshot = snapshot
        self._services = services
        self._now = services.clock.monotonic
        self._state = FailoverState(exchange, plan, services)
        self._waited_s = 0.0  # since the last attempt began: in a queue, for a pause

    async def run(self) -> Attempt:
        """Return the attempt that succeeded; the caller ends it."""
        state = self._state
        for stage in state.stages:
            if (attempt := await self._try_pool(stage)) is not None:
                return attempt
        for stage in state.stages:
            if (attempt := await self._try_warming(stage)) is not None:
                return attempt
        while (resting := await self._wait_for_retry_after()) is not None:
            if (attempt := await self._try_pool(resting)) is not None:
                return attempt
        if (soonest := state.soonest()) is not None:
            stage, target = soonest
            if (attempt := await self._in_pool(stage, partial(self._try_if_room, stage, target))) is not None:
                return attempt
        raise state.failure or state.refusal or state.unavailable()

    # A pool

    def _try_pool(self, stage: PoolStage) -> Awaitable[Attempt | None]:
        """Try members of a pool until one succeeds; None where none does. Raises an error that failover can't mend."""
        return self._try_limited(stage) if stage.is_limited else self._try_members(stage)

    async def _try_limited(self, stage: PoolStage) -> Attempt | None:
        if not self._state.is_worth_waiting(stage):
            return None
        return await self._in_pool(stage, partial(self._try_members, stage))

    async def _in_pool(self, stage: PoolStage, run: Callable[[], Awaitable[Attempt | None]]) -> Attempt | None:
        """Run within the pool's concurrency limit, and keep the place until the response has ended; None where it is full."""
        if not stage.is_limited:
            return await run()
        limiter = stage.state.limiter
        try:
            if not limiter.try_acquire():
                await self._wait_in_queue(stage)
        except Overloaded as error:
            self._state.refusal = error
            return None
        attempt, entered_at = None, self._now()
        try:
            attempt = await run()
            return attempt
        finally:
            if attempt is None:
                limiter.release(self._now() - entered_at)
            else:
                attempt.hold(limiter, entered_at)

    async def _wait_in_queue(self, stage: PoolStage) -> None:
        exchange, request = self._exchange, self._exchange.request
        assert request is not None
        tenant = self._snapshot.spec.tenants.get(exchange.principal.tenant)
        entry = QueueEntry(
            tenant=exchange.principal.tenant,
            key=exchange.principal.key_id,
            weight=1 if tenant is None else tenant.weight,
            priority="normal" if tenant is None else tenant.priority,
            cost=request.tokens + (request.max_tokens or DEFAULT_OUTPUT_TOKENS),
        )
        since = self._now()
        try:
            await stage.state.limiter.acquire(entry, self._state.total_at(stage.targets[0]))
        finally:
            exchange.timeline.add_wait("queue", since)
            self._waited_s += self._now() - since

    async def _try_members(self, stage: PoolStage) -> Attempt | None:
        state = self._state
        while True:
            made, token = state.attempts.get(stage.pool), None
            if made is not None and (token := await self._retry_token(stage, made)) is None:
                return None
            target = state.next(stage)
            if target is None:
                if token is not None:
                    token.unused()
                return None
            if stage.hedge is not None and made is None:
                attempt = await self._hedged(stage, target)
            else:
                attempt = await self._try_target(stage, target, token)
            if attempt is not None:
                return attempt

    async def _retry_token(self, stage: PoolStage, made: PoolAttempts) -> RetryToken | None:
        """Wait until a pool may be retried, and return the budget's token for it; None where it may not."""
        retry = self._state.next_retry(stage, made)
        if retry is None:
            return None
        pause, patience_s = retry
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
            self._exchange.timeline.add_wait("retry", since)
            self._waited_s += self._now() - since
        return token

    # One attempt

    async def _try_target(self, stage: PoolStage, target: Target, token: RetryToken | None = None) -> Attempt | None:
        """Try one endpoint; None where it failed and failover may go on. Raises an error that failover can't mend."""
        attempt = self._begin(stage, target, token)
        since = self._now()
        try:
            succeeded = await self._result_of(stage, attempt)
        finally:
            self._exchange.timeline.add_wait("upstream", since)
        if succeeded is not None:
            self._choose(stage, succeeded)
        return succeeded

    def _begin(self, stage: PoolStage, target: Target, token: RetryToken | None) -> Attempt:
        """Record an attempt before anything waits for it."""
        state = self._state
        if state.failure is not None and state.is_too_late(target):
            if token is not None:
                token.unused()
            raise DeadlineExceeded("no time is left for another attempt (total clock)")
        made = state.attempts.get(stage.pool)
        if made is None:
            if stage is not state.stages[0]:
                self._services.metrics.fallbacks[stage.pool].value += 1
            stage.state.budget.note_request(target.retry.budget)
            made = state.attempts[stage.pool] = PoolAttempts()
        elif token is not None:
            self._services.metrics.retries[stage.pool, "made"].value += 1
        made.count += 1
        attempt = Attempt(self._exchange, target, stage.pool, token, self._services)
        attempt.record.waited_s, self._waited_s = self._waited_s, 0.0
        return attempt

    async def _result_of(self, stage: PoolStage, attempt: Attempt) -> Attempt | None:
        """Wait for the response of an attempt; None where it failed and failover may go on."""
        exchange, target, state = self._exchange, attempt.target, self._state
        limits = self._snapshot.spec.server.limits
        try:
            response = await self._call.send(exchange, target, limits, self._services, state.total_at(target))
        except GatewayError as error:
            attempt.fail(error)
            state.failure = error
            if (
                not isinstance(error, UpstreamError)
                or not state.may_fail_over(error, target)
                or exchange.timeline.committed_at
                or not exchange.is_replayable
            ):
                raise
            state.note_failure(stage, target, error)
            return None
        except BaseException:
            attempt.abandon()
            raise
        response.keepalive_s = self._keepalive_s
        attempt.succeed(response)
        return attempt

    def _choose(self, stage: PoolStage, attempt: Attempt) -> None:
        """Record that the client gets the response of this attempt."""
        state = self._state
        attempt.choose()
        meant = state.stages[0]
        if stage is not meant or attempt.target.priority != meant.targets[0].priority:
            error = state.failure or state.refusal
            reason = "no_endpoint_available" if error is None else error.error_code
            name = meant.pool if stage is not meant else meant.targets[0].model.name
            self._exchange.degraded = f"{name}; reason={reason}"
        if stage.is_sticky:
            stage.state.sticky.remember(state.facts(stage).affinity, attempt.target.endpoint)

    async def _hedged(self, stage: PoolStage, target: Target) -> Attempt | None:
        """Try one endpoint and, where it is slower than usual, a second one; the first response wins."""
        hedge, request, services = stage.hedge, self._exchange.request, self._services
        assert hedge is not None and request is not None
        stage.state.hedges.note_request(hedge.share)
        recent = target.endpoint.recent_first_tokens_s if request.stream else target.endpoint.recent_answers_s
        usual_s = recent.quantile(hedge.quantile)
        attempts = [self._begin(stage, target, None)]

        def second() -> Attempt | None:
            committed = self._exchange.timeline.committed_at
            others = [] if committed else self._state.others(stage, target)
            if not others or not stage.state.hedges.try_take():
                return None
            services.metrics.hedges[stage.pool].value += 1
            attempts.append(self._begin(stage, self._state.pick(stage, others), None))
            return attempts[1]

        since = self._now()
        try:
            winner = await race(
                lambda attempt: self._result_of(stage, attempt),
                attempts[0],
                second,
                hedge.after_s if usual_s is None else usual_s,
            )
        finally:
            self._exchange.timeline.add_wait("upstream", since)
        if winner is not None:
            self._choose(stage, winner)
            for loser in attempts:
                if loser is not winner and loser.was_abandoned:  # else it has failed, and costs nothing
                    settle_lost_hedge(self._exchange, loser.record, self._snapshot.prices[loser.target.model.name])
        return winner

    # Last resorts

    async def _try_warming(self, stage: PoolStage) -> Attempt | None:
        """Wait for managed servers of a pool that warm up, and try them; None where none succeeds.

        No place is held meanwhile. It needs no retry token: that other members failed is not the server's fault.
        """
        for target in stage.targets:
            provider = target.endpoint.provider
            if self._services.managed_servers.is_warming(provider) and self._state.is_new(target):
                if not await self._is_warm_in_time(target):
                    message = f"{provider} is still starting"
                    self._state.failure = StillWarming(message, retry_after_s=STILL_WARMING_S)
                elif (attempt := await self._in_pool(stage, partial(self._try_warm, stage, target))) is not None:
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
            self._exchange.timeline.add_wait("warming", since)
        return True

    async def _try_warm(self, stage: PoolStage, target: Target) -> Attempt | None:
        return await self._try_if_room(stage, target) if self._state.is_new(target) else None

    async def _try_if_room(self, stage: PoolStage, target: Target) -> Attempt | None:
        return await self._try_target(stage, target) if target.has_room else None

    async def _wait_for_retry_after(self) -> PoolStage | None:
        """Wait for the endpoint with the shortest `Retry-After`, and return its pool; None where there is none or no time."""
        resting = self._state.next_rested()
        if resting is None:
            return None
        stage, pause = resting
        since = self._now()
        try:
            await asyncio.sleep(pause)
        finally:
            self._exchange.timeline.add_wait("retry", since)
            self._waited_s += self._now() - since
        return stage

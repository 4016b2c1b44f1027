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
from gateway.pools.concurrency import Entrant
from gateway.pools.endpoint import Hop, Path, Target
from gateway.resilience.retry import RetryToken
from gateway.snapshot import Services, Snapshot
from gateway.upstream.attempt import Trial, Upstream, ask
from gateway.upstream.failover import Search, Tries
from gateway.upstream.hedge import race

__all__ = ["Upstream", "dispatch"]

TOKENS_UNSAID: Final = 256  # of an answer whose request sets no bound: its part in the fair order of a queue
STILL_WARMING_S: Final = 1.0  # a guess at how long a server still takes to come up

Ask = Callable[[Exchange, Target, LimitsSpec, Services, float | None], Awaitable[Upstream]]


async def dispatch(x: Exchange, path: Path, snapshot: Snapshot, services: Services, ask: Ask = ask) -> Trial:
    """Ask until somebody answers; entering what is given gives the answer, leaving it closes that.

    `ask` puts the request to one endpoint.

    Raises the error of the last attempt where nobody answers, `CapacityError` where nobody could be asked.
    """
    return await _Dispatch(x, path, snapshot, services, ask).run()


class _Dispatch:
    """One request's way over its pools to an answer: it waits for what its `Search` decides."""

    __slots__ = ("_ask_endpoint", "_keepalive_s", "_now", "_search", "_services", "_snapshot", "_x")

    def __init__(self, x: Exchange, path: Path, snapshot: Snapshot, services: Services, ask: Ask) -> None:
        self._x = x
        self._ask_endpoint = ask
        self._keepalive_s = path.keepalive_s
        self._snapshot = snapshot
        self._services = services
        self._now = services.clock.monotonic
        self._search = Search(x, path, services)

    async def run(self) -> Trial:
        """Give the attempt that was answered; the caller ends it."""
        search = self._search
        for hop in search.hops:
            if (trial := await self._ask_pool(hop)) is not None:
                return trial
        for hop in search.hops:
            if (trial := await self._ask_warming(hop)) is not None:
                return trial
        while (told := await self._wait_as_told()) is not None:
            if (trial := await self._ask_pool(told)) is not None:
                return trial
        if (soonest := search.soonest()) is not None:
            hop, target = soonest
            if (trial := await self._in_turn(hop, partial(self._ask_if_room, hop, target))) is not None:
                return trial
        raise search.failure or search.refusal or search.nobody()

    # A pool

    async def _ask_pool(self, hop: Hop) -> Trial | None:
        """Ask members of a pool until one answers; None where none does. Raises what nobody else can mend."""
        if not hop.is_gated:
            return await self._ask_members(hop)
        if not self._search.is_worth_waiting(hop):
            return None
        return await self._in_turn(hop, partial(self._ask_members, hop))

    async def _in_turn(self, hop: Hop, ask: Callable[[], Awaitable[Trial | None]]) -> Trial | None:
        """Ask in a pool once there is room in it, and keep the place until the answer has ended; None where none is to be had."""
        if not hop.is_gated:
            return await ask()
        gate = hop.state.gate
        try:
            if not gate.try_enter():
                await self._wait_in_line(hop)
        except Overloaded as error:
            self._search.refusal = error
            return None
        trial, entered_at = None, self._now()
        try:
            trial = await ask()
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
        entrant = Entrant(
            tenant=x.principal.tenant,
            key=x.principal.key_id,
            weight=1 if tenant is None else tenant.weight,
            priority="normal" if tenant is None else tenant.priority,
            cost=request.tokens + (request.max_tokens or TOKENS_UNSAID),
        )
        since = self._now()
        try:
            await hop.state.gate.enter(entrant, self._search.total_at(hop.targets[0]))
        finally:
            x.queued_s += self._now() - since
            x.waited_s += self._now() - since

    async def _ask_members(self, hop: Hop) -> Trial | None:
        search = self._search
        while True:
            tries, token = search.tries.get(hop.pool), None
            if tries is not None and (token := await self._permission(hop, tries)) is None:
                return None
            target = search.next(hop)
            if target is None:
                if token is not None:
                    token.unused()
                return None
            if hop.hedge is not None and tries is None:
                trial = await self._hedged(hop, target)
            else:
                trial = await self._attempt(hop, target, token)
            if trial is not None:
                return trial

    async def _permission(self, hop: Hop, tries: Tries) -> RetryToken | None:
        """Wait until a pool may be asked once more, and give the token for it; None where it may not."""
        again = self._search.once_more(hop, tries)
        if again is None:
            return None
        pause, patience_s = again
        since = self._now()
        try:
            token = await hop.state.budget.take(patience_s)
            if token is None:
                self._services.metrics.retries[hop.pool, "refused"].value += 1
            elif pause:
                try:
                    await asyncio.sleep(pause)
                except BaseException:
                    token.unused()
                    raise
        finally:
            self._x.waited_s += self._now() - since
        return token

    # One attempt

    async def _attempt(self, hop: Hop, target: Target, token: RetryToken | None = None) -> Trial | None:
        """Ask one endpoint; None where it failed and somebody else may be asked. Raises what nobody else can mend."""
        trial = self._begin(hop, target, token)
        since = self._now()
        try:
            answered = await self._answered(hop, trial)
        finally:
            self._x.waited_s += self._now() - since
        if answered is not None:
            self._take(hop, answered)
        return answered

    def _begin(self, hop: Hop, target: Target, token: RetryToken | None) -> Trial:
        """Write down that an endpoint is asked, before anything waits."""
        search = self._search
        if search.failure is not None and search.is_too_late(target):
            if token is not None:
                token.unused()
            raise DeadlineExceeded("no time is left for another attempt (total clock)")
        tries = search.tries.get(hop.pool)
        if tries is None:
            if hop is not search.hops[0]:
                self._services.metrics.fallbacks[hop.pool].value += 1
            hop.state.budget.note_request(target.retry.budget)
            tries = search.tries[hop.pool] = Tries()
        elif token is not None:
            self._services.metrics.retries[hop.pool, "made"].value += 1
        tries.count += 1
        self._x.pool = hop.pool
        return Trial(self._x, target, token, self._services)

    async def _answered(self, hop: Hop, trial: Trial) -> Trial | None:
        """Wait for the answer to an attempt; None where it failed and somebody else may be asked."""
        x, target = self._x, trial.target
        limits = self._snapshot.spec.server.limits
        try:
            upstream = await self._ask_endpoint(x, target, limits, self._services, self._search.total_at(target))
        except GatewayError as error:
            trial.fail(error)
            self._search.failure = error
            if (
                not isinstance(error, UpstreamError)
                or not self._search.leads_on(error, target)
                or x.committed_at
                or x.is_spent
            ):
                raise
            self._search.note_failure(hop, target, error)
            return None
        except BaseException:
            trial.abandon()
            raise
        upstream.keepalive_s = self._keepalive_s
        trial.answered(upstream)
        return trial

    def _take(self, hop: Hop, trial: Trial) -> None:
        """Write down that this is the attempt whose answer the client gets."""
        search = self._search
        trial.taken(hop.pool)
        meant = search.hops[0]
        if hop is not meant or trial.target.priority != meant.targets[0].priority:
            why = search.failure or search.refusal
            reason = "no_endpoint_available" if why is None else why.error_code
            who = meant.pool if hop is not meant else meant.targets[0].model.name
            self._x.degraded = f"{who}; reason={reason}"
        if hop.is_sticky:
            hop.state.sticky.note(search.facts(hop).affinity, trial.target.endpoint)

    async def _hedged(self, hop: Hop, target: Target) -> Trial | None:
        """Ask one endpoint and, where it is slower than it mostly is, a second one; the first answer is taken."""
        hedge, request, services = hop.hedge, self._x.request, self._services
        assert hedge is not None and request is not None
        hop.state.hedges.note_request(hedge.share)
        recent = target.endpoint.recent_first_tokens_s if request.stream else target.endpoint.recent_answers_s
        usual_s = recent.quantile(hedge.quantile)
        trials = [self._begin(hop, target, None)]

        def second() -> "Trial | None":
            others = [] if self._x.committed_at else self._search.others(hop, target)
            if not others or not hop.state.hedges.try_take():
                return None
            services.metrics.hedges[hop.pool].value += 1
            trials.append(self._begin(hop, self._search.pick(hop, others), None))
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
        if winner is not None:
            self._take(hop, winner)
            for loser in trials:
                if loser is not winner and loser.was_abandoned:  # else it has failed, and costs nothing
                    price = self._snapshot.prices[loser.target.model.name]
                    self._x.lost_picodollars += price.input * request.tokens  # its prompt has been read
        return winner

    # Last resorts

    async def _ask_warming(self, hop: Hop) -> Trial | None:
        """Wait for those of a pool that warm up, and ask them; None where none answers.

        Nothing is held meanwhile. It needs no leave to try again: that others were asked before is no fault of theirs.
        """
        for target in hop.targets:
            provider = target.endpoint.provider
            if self._services.children.is_warming(provider) and self._search.is_new(target):
                if not await self._is_warm_in_time(target):
                    message = f"{provider} is still starting"
                    self._search.failure = StillWarming(message, retry_after_s=STILL_WARMING_S)
                elif (trial := await self._in_turn(hop, partial(self._ask_warm, hop, target))) is not None:
                    return trial
        return None

    async def _is_warm_in_time(self, target: Target) -> bool:
        patience_s, total_at, since = target.clocks.first_token_s, self._search.total_at(target), self._now()
        if total_at is not None:
            left_s = total_at - asyncio.get_running_loop().time()
            patience_s = left_s if patience_s is None else min(patience_s, left_s)
        try:
            await self._services.children.wait(target.endpoint.provider, patience_s)
        except TimeoutError:
            return False
        finally:
            self._x.waited_s += self._now() - since
        return True

    async def _ask_warm(self, hop: Hop, target: Target) -> Trial | None:
        if not self._search.is_new(target):
            return None
        return await self._ask_if_room(hop, target)

    async def _ask_if_room(self, hop: Hop, target: Target) -> Trial | None:
        return await self._attempt(hop, target) if target.has_room else None

    async def _wait_as_told(self) -> Hop | None:
        """Wait for whoever told us the shortest wait, and give its pool; None where there is none, or no time for it."""
        told = self._search.told_wait()
        if told is None:
            return None
        hop, pause = told
        await asyncio.sleep(pause)
        self._x.waited_s += pause
        return hop

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
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Final

from gateway.attempt import Trial, Upstream, ask
from gateway.config.spec import LimitsSpec
from gateway.core.errors import (
    CredentialRefused,
    DeadlineExceeded,
    GatewayError,
    InvalidRequest,
    NoCapacity,
    Overloaded,
    StillWarming,
    UpstreamError,
    UpstreamRateLimited,
)
from gateway.core.exchange import Exchange
from gateway.hedge import race
from gateway.pools.balancers.base import Facts
from gateway.pools.choice import can_be_asked, candidates, pick, wait_s
from gateway.pools.endpoint import Endpoint, Hop, Path, Target
from gateway.resilience.backoff import pause_s
from gateway.resilience.retry import RetryToken
from gateway.routing.conversation import affinity
from gateway.snapshot import Services, Snapshot

__all__ = ["Upstream", "dispatch"]

TOKENS_UNSAID: Final = 256  # of an answer whose request sets no bound: its part in the fair order of a queue
STILL_WARMING_S: Final = 1.0  # a guess at how long a server still takes to come up
LEAST_RETRY_S: Final = 1.0  # what a client is told to wait where nobody can tell
TOLD_SPREAD: Final = 0.1  # share by which a wait that was told is stretched, lest all come back at once

Ask = Callable[[Exchange, Target, LimitsSpec, Services, float | None], Awaitable[Upstream]]


async def dispatch(x: Exchange, path: Path, snapshot: Snapshot, services: Services, ask: Ask = ask) -> Trial:
    """Ask until somebody answers; entering what is given gives the answer, leaving it closes that.

    `ask` puts the request to one endpoint.

    Raises the error of the last attempt where nobody answers, `CapacityError` where nobody could be asked.
    """
    return await _Search(x, path, snapshot, services, ask).run()


@dataclass(slots=True)
class _Tries:
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


class _Search:
    """One request's way over its pools to an answer: it decides without waiting, then waits for what it decided."""

    def __init__(self, x: Exchange, path: Path, snapshot: Snapshot, services: Services, ask: Ask) -> None:
        self._x = x
        self._ask_endpoint = ask
        self._hops = path.hops
        self._keepalive_s = path.keepalive_s
        self._snapshot = snapshot
        self._services = services
        self._loop = asyncio.get_running_loop()
        self._now = services.clock.monotonic
        self._arrived_at = self._loop.time() - (self._now() - x.received_at)
        self._tries: dict[str, _Tries] = {}  # by pool
        self._again_at: dict[Endpoint, float] = {}  # that failed, and when they may be asked again; `inf`: not at all
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
            if (trial := await self._ask_warming(hop)) is not None:
                return trial
        while (told := await self._wait_as_told()) is not None:
            if (trial := await self._ask_pool(told)) is not None:
                return trial
        if (soonest := self._soonest()) is not None:
            hop, target = soonest
            if (trial := await self._in_turn(hop, partial(self._ask_if_room, hop, target))) is not None:
                return trial
        raise self._failure or self._refusal or self._nobody()

    # A pool

    async def _ask_pool(self, hop: Hop) -> Trial | None:
        """Ask members of a pool until one answers; None where none does. Raises what nobody else can mend."""
        if hop.is_gated and not self._is_worth_waiting(hop):
            return None
        return await self._in_turn(hop, partial(self._ask_members, hop))

    def _is_worth_waiting(self, hop: Hop) -> bool:
        """Whether there is anybody to wait for, has it room or not."""
        now, final, is_warming = self._now(), self._final(), self._services.children.is_warming
        return any(self._is_of_use(one, now, final) and not is_warming(one.endpoint.provider) for one in hop.targets)

    async def _in_turn(self, hop: Hop, ask: Callable[[], Awaitable[Trial | None]]) -> Trial | None:
        """Ask in a pool once there is room in it, and keep the place until the answer has ended; None where none is to be had."""
        if not hop.is_gated:
            return await ask()
        gate = hop.state.gate
        try:
            if not gate.try_enter():
                await self._wait_in_line(hop)
        except Overloaded as error:
            self._refusal = error
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
        while True:
            tries, token = self._tries.get(hop.pool), None
            if tries is not None and (token := await self._permission(hop, tries)) is None:
                return None
            target = self._next(hop)
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

    def _next(self, hop: Hop) -> Target | None:
        """Give who is asked now: somebody new, else somebody whose fault may have passed."""
        found = self._found(hop, self._again_at)
        if not found and self._again_at:
            now, found = self._now(), self._found(hop, self._final())
            # Timers may be early by a trifle: then all of them are as good as ready.
            found = [target for target in found if self._again_at[target.endpoint] <= now] or found
        if len(found) < 2:
            return found[0] if found else None
        return pick(hop, found, self._facts_of(hop), self._services.rng)

    def _found(self, hop: Hop, without: Container[Endpoint]) -> list[Target]:
        return candidates(hop, self._x.path, self._now(), self._services.children.is_warming, without, self._context)

    def _final(self) -> set[Endpoint]:
        """Give the endpoints that are not asked again: they would say the same, or want too much patience."""
        return {endpoint for endpoint, again_at in self._again_at.items() if again_at == inf}

    # Another attempt in a pool

    async def _permission(self, hop: Hop, tries: _Tries) -> RetryToken | None:
        """Wait until a pool may be asked once more, and give the token for it; None where it may not."""
        if tries.failure is None or not tries.may_go_on:
            return None
        target, _ = tries.failure
        pause, retry = self._pause(hop), target.retry
        if pause is None or self._is_too_late(target, pause):
            return None
        # Where nobody stands behind this pool, giving up is all that is left: then it pays to wait for slow answers too.
        patience_s = retry.retry_after_cap_s if hop is self._hops[-1] else retry.backoff_cap_s
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

    def _pause(self, hop: Hop) -> float | None:
        """Give how long to wait before a pool is asked once more: not at all for somebody new; None where there is nobody."""
        if self._found(hop, self._again_at):
            return 0.0
        again_at = [self._again_at[target.endpoint] for target in self._found(hop, self._final())]
        return max(0.0, min(again_at) - self._now()) if again_at else None

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
        if self._failure is not None and self._is_too_late(target):
            if token is not None:
                token.unused()
            raise DeadlineExceeded("no time is left for another attempt (total clock)")
        tries = self._tries.get(hop.pool)
        if tries is None:
            if hop is not self._hops[0]:
                self._services.metrics.fallbacks[hop.pool].value += 1
            hop.state.budget.note_request(target.retry.budget)
            tries = self._tries[hop.pool] = _Tries()
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
            upstream = await self._ask_endpoint(x, target, limits, self._services, self._total_at(target))
        except GatewayError as error:
            trial.fail(error)
            self._failure = error
            if (
                not isinstance(error, UpstreamError)
                or not self._leads_on(error, target)
                or x.committed_at
                or x.is_spent
            ):
                raise
            self._note_failure(hop, target, error)
            return None
        except BaseException:
            trial.abandon()
            raise
        upstream.keepalive_s = self._keepalive_s
        trial.answered(upstream)
        return trial

    def _take(self, hop: Hop, trial: Trial) -> None:
        """Write down that this is the attempt whose answer the client gets."""
        trial.taken(hop.pool)
        first = self._hops[0]
        if hop is not first:
            why = self._failure or self._refusal
            reason = "no_endpoint_available" if why is None else why.error_code
            self._x.degraded = f"{first.pool}; reason={reason}"
        if hop.is_sticky:
            hop.state.sticky.note(self._facts_of(hop).affinity, trial.target.endpoint)

    def _note_failure(self, hop: Hop, target: Target, error: UpstreamError) -> None:
        """Note that an endpoint has failed, and from when on it may be asked again."""
        tries, retry, told_s = self._tries[hop.pool], target.retry, error.retry_after_s or 0.0
        tries.failure = target, error
        if not error.effect.again or told_s > retry.retry_after_cap_s:
            again_at = inf
        else:
            again_at = self._now() + max(told_s, pause_s(tries.count, retry, self._services.rng))
        self._again_at[target.endpoint] = again_at

    def _leads_on(self, error: UpstreamError, target: Target) -> bool:
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

    async def _hedged(self, hop: Hop, target: Target) -> Trial | None:
        """Ask one endpoint and, where it is slower than it mostly is, a second one; the first answer is taken."""
        hedge, request, services = hop.hedge, self._x.request, self._services
        assert hedge is not None and request is not None
        hop.state.hedges.note_request(hedge.share)
        recent = target.endpoint.recent_first_tokens_s if request.stream else target.endpoint.recent_answers_s
        usual_s = recent.quantile(hedge.quantile)
        trials = [self._begin(hop, target, None)]

        def second() -> "Trial | None":
            found = self._found(hop, {target.endpoint, *self._again_at})
            if self._x.committed_at or not found or self._is_too_late(found[0]) or not hop.state.hedges.try_take():
                return None
            services.metrics.hedges[hop.pool].value += 1
            trials.append(self._begin(hop, pick(hop, found, self._facts_of(hop), services.rng), None))
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
            if self._services.children.is_warming(provider) and self._is_of_use(target, self._now(), self._again_at):
                if not await self._is_warm_in_time(target):
                    message = f"{provider} is still starting"
                    self._failure = StillWarming(message, retry_after_s=STILL_WARMING_S)
                elif (trial := await self._in_turn(hop, partial(self._ask_warm, hop, target))) is not None:
                    return trial
        return None

    async def _is_warm_in_time(self, target: Target) -> bool:
        patience_s, total_at, since = target.clocks.first_token_s, self._total_at(target), self._now()
        if total_at is not None:
            left_s = total_at - self._loop.time()
            patience_s = left_s if patience_s is None else min(patience_s, left_s)
        try:
            await self._services.children.wait(target.endpoint.provider, patience_s)
        except TimeoutError:
            return False
        finally:
            self._x.waited_s += self._now() - since
        return True

    async def _ask_warm(self, hop: Hop, target: Target) -> Trial | None:
        if not self._is_of_use(target, self._now(), self._again_at):
            return None
        return await self._ask_if_room(hop, target)

    async def _ask_if_room(self, hop: Hop, target: Target) -> Trial | None:
        return await self._attempt(hop, target) if target.has_room else None

    async def _wait_as_told(self) -> Hop | None:
        """Wait for whoever told us the shortest wait, and give its pool; None where there is none, or no time for it."""
        now, final = self._now(), self._final()
        soonest, found = inf, None
        for hop in self._hops:
            tries = self._tries.get(hop.pool)
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
        if pause > left_s or self._is_too_late(target, pause):
            return None
        self._patience_s = left_s - pause
        await asyncio.sleep(pause)
        self._x.waited_s += pause
        return hop

    def _is_of_use(self, target: Target, at: float, without: Container[Endpoint]) -> bool:
        return can_be_asked(target, self._x.path, at, without, self._context)

    def _soonest(self) -> tuple[Hop, Target] | None:
        """Give who is asked in spite of its breaker, where every breaker is open and the first pool wants that."""
        if self._tries or self._refusal or not self._hops or self._hops[0].all_open != "soonest":
            return None
        targets = [(hop, target) for hop in self._hops for target in hop.targets]
        if any(target.endpoint.breaker.is_available for _, target in targets):
            return None
        now = self._now()
        resting = [(hop, one) for hop, one in targets if one.endpoint.is_in_rotation(now) and one.has_room]
        return min(resting, key=lambda found: found[1].endpoint.breaker.retry_in_s(), default=None)

    def _nobody(self) -> GatewayError:
        """Say why nobody was asked, and when that may change."""
        if not self._hops:
            return NoCapacity("the provider of this model is off")
        path = self._x.path
        if not any(path in target.ways for hop in self._hops for target in hop.targets):
            return InvalidRequest(f"this model can't be asked at {path}", param="model", code="unsupported_endpoint")
        now = self._now()
        waits = [
            (left_s, endpoint.rests_until > now and endpoint.breaker.is_available)
            for hop in self._hops
            for target in hop.targets
            if (left_s := wait_s(endpoint := target.endpoint, now)) is not None
        ]
        left_s, is_told = min(waits, default=(0.0, False))
        if is_told:
            return UpstreamRateLimited("the provider is rate limited", retry_after_s=left_s)
        message = "no endpoint that could answer can be asked now"
        return NoCapacity(message, retry_after_s=max(left_s, LEAST_RETRY_S))

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

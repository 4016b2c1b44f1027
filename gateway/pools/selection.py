"""Who of a pool is asked: those that can be, of the lowest priority number, and of them whom the balancer picks."""

import random
from collections.abc import Callable, Container, Sequence
from typing import Final

from gateway.pools.balancers.base import RequestFacts
from gateway.pools.endpoint import NEVER, Endpoint
from gateway.pools.route_plan import PoolStage
from gateway.pools.target import Target

IsWarming = Callable[[str], bool]

INITIAL_SHARE: Final = 0.1


def eligible_targets(
    stage: PoolStage, path: str, now: float, is_warming: IsWarming, without: Container[Endpoint] = (), context: int = 0
) -> list[Target]:
    """Give the targets of a pool that can be asked at `now`, of the lowest priority number that has any.

    `path`: what the client asks, for which a provider may have no way. `without`: endpoints that are passed over.
    `context`: only windows larger than so many tokens, where it is not 0.
    """
    found: list[Target] = []
    for target in stage.targets:
        if found and target.priority != found[0].priority:
            break
        if (
            is_eligible(target, path, now, without, context)
            and target.has_room
            and not is_warming(target.endpoint.provider)
        ):
            found.append(target)
    return found


def is_eligible(target: Target, path: str, at: float, without: Container[Endpoint], context: int) -> bool:
    """Whether a target may be asked at the moment `at`, where it then has room and is up."""
    endpoint = target.endpoint
    return (
        path in target.bindings
        and endpoint not in without
        and endpoint.is_in_rotation(at)
        and endpoint.breaker.is_available
        and (not context or (target.model.context or 0) > context)
    )


def available_in_s(endpoint: Endpoint, now: float) -> float | None:
    """Give in how many seconds an endpoint can be asked again; None where nobody knows: it is drained, or ill."""
    if endpoint.is_drained or not endpoint.is_healthy:
        return None
    told_s = endpoint.retry_after_until - now if endpoint.resting_until > now else 0.0
    return max(0.0, endpoint.breaker.retry_in_s(), told_s, endpoint.credential.refused_until - now)


def pick(stage: PoolStage, among: Sequence[Target], facts: RequestFacts, rng: random.Random) -> Target:
    """Give one of `among`: whom the conversation is used to, else whom the balancer picks."""
    if len(among) == 1:
        return among[0]
    if stage.is_sticky and (preferred := stage.state.sticky.find(facts.affinity, among)) is not None:
        return preferred
    among = apply_slow_start(among, facts.now, rng)
    return among[0] if len(among) == 1 else stage.balancer.pick(among, facts)


def slow_start_share(endpoint: Endpoint, target: Target, now: float) -> float:
    """Give how much of its usual share `endpoint` takes: from `INITIAL_SHARE` at its recovery, evenly up to 1.0.

    `target` says how long that takes (`slow_start_s`); `now` in monotonic seconds.
    """
    if endpoint.recovered_at == NEVER:
        return 1.0
    passed_s = max(0.0, now - endpoint.recovered_at)
    if passed_s >= target.slow_start_s:
        return 1.0
    return INITIAL_SHARE + (1.0 - INITIAL_SHARE) * passed_s / target.slow_start_s


def apply_slow_start(candidates: Sequence[Target], now: float, rng: random.Random) -> Sequence[Target]:
    """Give those that take part this time: one that ramps up is left out as often as it lacks share.

    The same sequence where nobody ramps, and where all would be left out: somebody has to answer.
    """
    for target in candidates:
        recovered_at = target.endpoint.recovered_at
        if recovered_at != NEVER and now - recovered_at < target.slow_start_s:
            break
    else:
        return candidates
    return [
        target for target in candidates if rng.random() < slow_start_share(target.endpoint, target, now)
    ] or candidates

"""Which endpoint of a pool takes a request.

1. Eligible targets: in rotation, breaker willing, provider up, capacity free; of the lowest priority number that has any.
2. The sticky endpoint of the conversation, if it is among them.
3. Slow start: a target that has just recovered takes part only now and then.
4. Otherwise the balancer's choice.
"""

import random
from collections.abc import Callable, Container, Sequence
from typing import Final

from gateway.pools.balancers.base import RequestFacts
from gateway.pools.endpoint import NEVER, Endpoint
from gateway.pools.route_plan import PoolStage
from gateway.pools.target import Target

IsWarming = Callable[[str], bool]

INITIAL_SHARE: Final = 0.1  # of its usual requests, right after an endpoint has recovered


def eligible_targets(
    stage: PoolStage,
    path: str,
    now: float,
    is_warming: IsWarming,
    excluded: Container[Endpoint] = (),
    context_above: int = 0,
) -> list[Target]:
    """Return the targets of a pool that can take a request at `now`, of the lowest priority number that has any.

    `path`: the client's; a provider may not support it. `excluded`: endpoints to pass over. `context_above`: unless 0, only
    targets whose context window is larger than so many tokens.
    """
    found: list[Target] = []
    for target in stage.targets:
        if found and target.priority != found[0].priority:
            break
        if (
            is_eligible(target, path, now, excluded, context_above)
            and target.has_room
            and not is_warming(target.endpoint.provider)
        ):
            found.append(target)
    return found


def is_eligible(target: Target, path: str, at: float, excluded: Container[Endpoint], context_above: int) -> bool:
    """Whether a target can take a request at the moment `at`, provided that it then has room and its provider is up."""
    endpoint = target.endpoint
    return (
        path in target.bindings
        and endpoint not in excluded
        and endpoint.is_in_rotation(at)
        and endpoint.breaker.is_available
        and (not context_above or (target.model.context or 0) > context_above)
    )


def available_in_s(endpoint: Endpoint, now: float) -> float | None:
    """Return the seconds until an endpoint is available again; None if that is unknown: it is drained or unhealthy."""
    if endpoint.is_drained or not endpoint.is_healthy:
        return None
    retry_after_s = endpoint.retry_after_until - now if endpoint.resting_until > now else 0.0
    return max(0.0, endpoint.breaker.retry_in_s(), retry_after_s, endpoint.credential.refused_until - now)


def pick(stage: PoolStage, candidates: Sequence[Target], facts: RequestFacts, rng: random.Random) -> Target:
    """Return the sticky endpoint's target if it is among `candidates` (one or more), otherwise the balancer's choice."""
    if len(candidates) == 1:
        return candidates[0]
    if stage.is_sticky and (preferred := stage.state.sticky.find(facts.affinity, candidates)) is not None:
        return preferred
    candidates = apply_slow_start(candidates, facts.now, rng)
    return candidates[0] if len(candidates) == 1 else stage.balancer.pick(candidates, facts)


def apply_slow_start(candidates: Sequence[Target], now: float, rng: random.Random) -> Sequence[Target]:
    """Return the candidates that take part in this choice: one in slow start takes part with the probability of its share.

    Returns the same sequence if no candidate is in slow start, and also if every candidate would be left out.
    """
    for target in candidates:
        recovered_at = target.endpoint.recovered_at
        if recovered_at != NEVER and now - recovered_at < target.slow_start_s:
            break
    else:
        return candidates
    return [target for target in candidates if rng.random() < slow_start_share(target, now)] or candidates


def slow_start_share(target: Target, now: float) -> float:
    """Return how much of its usual share a target takes: `INITIAL_SHARE` at its recovery, then linearly up to 1.0.

    The rise takes `target.slow_start_s`; `now` in monotonic seconds.
    """
    recovered_at = target.endpoint.recovered_at
    if recovered_at == NEVER:
        return 1.0
    passed_s = max(0.0, now - recovered_at)
    if passed_s >= target.slow_start_s:
        return 1.0
    return INITIAL_SHARE + (1.0 - INITIAL_SHARE) * passed_s / target.slow_start_s

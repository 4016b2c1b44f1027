"""The slow start: an endpoint that has recovered takes a share that grows, not the full load at once."""

import random
from collections.abc import Sequence
from typing import Final

from gateway.pools.endpoint import NEVER, Endpoint
from gateway.pools.target import Target

FIRST_SHARE: Final = 0.1


def share(endpoint: Endpoint, target: Target, now: float) -> float:
    """Give how much of its usual share `endpoint` takes: from `FIRST_SHARE` at its recovery, evenly up to 1.0.

    `target` says how long that takes (`slow_start_s`); `now` in monotonic seconds.
    """
    if endpoint.recovered_at == NEVER:
        return 1.0
    passed_s = max(0.0, now - endpoint.recovered_at)
    if passed_s >= target.slow_start_s:
        return 1.0
    return FIRST_SHARE + (1.0 - FIRST_SHARE) * passed_s / target.slow_start_s


def ramped(candidates: Sequence[Target], now: float, rng: random.Random) -> Sequence[Target]:
    """Give those that take part this time: one that ramps up is left out as often as it lacks share.

    The same sequence where nobody ramps, and where all would be left out: somebody has to answer.
    """
    for target in candidates:
        recovered_at = target.endpoint.recovered_at
        if recovered_at != NEVER and now - recovered_at < target.slow_start_s:
            break
    else:
        return candidates
    return [target for target in candidates if rng.random() < share(target.endpoint, target, now)] or candidates

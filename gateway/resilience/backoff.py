"""How long to wait before the same endpoint is asked again."""

import random

from gateway.config.spec import RetrySpec


def pause_s(again: int, spec: RetrySpec, rng: random.Random) -> float:
    """Give the pause before an endpoint is asked for the `again`-th time more (from 1), in seconds.

    Exponential with full jitter: evenly drawn from 0 to `backoff_s` · 2^(again-1), that bounded by `backoff_cap_s`. So those
    who failed together don't come back together (M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog 2015).
    """
    return rng.uniform(0.0, min(spec.backoff_cap_s, spec.backoff_s * 2.0 ** min(again - 1, 30)))

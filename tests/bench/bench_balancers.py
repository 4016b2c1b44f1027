"""What a pick costs the event loop: CPU time of each strategy over ten targets, of a sticky look-up and of the ramp's check.

python -m tests.bench.bench_balancers
"""

import random

from gateway.core.clock import SystemClock
from gateway.pools.balancers.base import BALANCERS, RequestFacts
from gateway.pools.selection import apply_slow_start
from gateway.pools.sticky import StickyMap
from tests.bench.bench_report import show
from tests.support.targets import target

TARGETS = 10


def main() -> None:
    clock, rng = SystemClock(), random.Random(1)
    pool = [target(f"{place}", slow_start_s=10.0) for place in range(TARGETS)]
    for each in pool:
        for average in (each.endpoint.first_token_s, each.endpoint.failures):
            average.observe(0.5, clock.monotonic())
    facts = RequestFacts(clock.monotonic(), is_stream=True, affinity="3f1c9a5e0b7d4e62")
    for name, make in sorted(BALANCERS.items()):
        balancer = make(pool, rng)
        show(f"{name}, {TARGETS} targets", lambda balancer=balancer: balancer.pick(pool, facts))
    four = BALANCERS["ewma"](pool[:4], rng)
    show("ewma, 4 targets", lambda: four.pick(pool[:4], facts))
    sticky = StickyMap(clock)
    show("sticky: note", lambda: sticky.remember(facts.affinity, pool[-1].endpoint))
    show("sticky: prefer", lambda: sticky.find(facts.affinity, pool))
    show(f"ramp: nobody of {TARGETS}", lambda: apply_slow_start(pool, facts.now, rng))
    show("facts of a request", lambda: RequestFacts(1.0, is_stream=True, affinity="c1"))


if __name__ == "__main__":
    main()

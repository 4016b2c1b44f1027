"""A concurrency limiter under any interleaving of arrivals, departures, cancellations, timeouts and reloads: no slot is lost or made up."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.spec import QueueSpec
from gateway.core.errors import Overloaded
from gateway.pools.concurrency import ConcurrencyLimiter, QueueEntry
from tests.support.clock import FakeClock
from tests.support.loops import VirtualTimeLoop

LIMITS = st.sampled_from([1, 1, 2, 3, None])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.sampled_from("aaab")),
        st.tuples(st.just("enter"), st.sampled_from("aaab")),
        st.tuples(st.just("leave"), st.integers(0, 5)),
        st.tuples(st.just("cancel"), st.integers(0, 9)),
        st.tuples(st.just("turn"), st.integers(1, 2)),
        st.tuples(st.just("wait"), st.sampled_from([0.4, 1.1])),
        st.tuples(st.just("limit"), LIMITS),
    ),
    max_size=80,
)


class Driver:
    """Does the steps, and knows who should be where."""

    def __init__(self, limit: int | None) -> None:
        self.limiter = ConcurrencyLimiter(FakeClock())
        self.limit = limit
        self.queue = QueueSpec(max=3, wait_s=1.0)
        self.limiter.configure(limit, self.queue)
        self.entering: list[asyncio.Task[None]] = []
        self.running = 0
        self.refused = 0

    async def do(self, step: str, amount: object) -> None:
        match step, amount:
            case "enter", str(tenant):
                entering = self.limiter.acquire(QueueEntry(tenant))
                self.entering.append(asyncio.get_running_loop().create_task(entering))
            case "leave", _ if self.running:
                self.running -= 1
                self.limiter.release(0.01)
            case "cancel", int(number) if number < len(self.entering):
                self.entering[number].cancel()
            case "turn", int(turns):
                for _ in range(turns):
                    await asyncio.sleep(0)
            case "wait", float(seconds):
                await asyncio.sleep(seconds)
            case "limit", int() | None as limit:
                self.limit = limit
                self.limiter.configure(limit, self.queue)

    def look(self) -> None:
        """Sort out who has ended, and check the limiter against it."""
        for task in [task for task in self.entering if task.done()]:
            self.entering.remove(task)
            if task.cancelled():
                continue
            error = task.exception()
            assert error is None or isinstance(error, Overloaded)
            assert error is None or (error.retry_after_s or 0.0) > 0.0
            self.running += error is None
            self.refused += error is not None
        limiter = self.limiter
        assert limiter.waiting <= self.queue.max
        assert self.running <= limiter.in_flight <= self.running + len(self.entering)
        if limiter.waiting:
            assert self.limit is not None
            assert limiter.in_flight >= self.limit, "a request waits beside a free slot"

    async def end(self) -> None:
        """Let all that run leave, until none is left."""
        while self.entering or self.running:
            if self.running:
                self.running -= 1
                self.limiter.release(0.01)
            await asyncio.sleep(0)
            self.look()
        assert (self.limiter.in_flight, self.limiter.waiting) == (0, 0)
        assert self.refused <= sum(self.limiter.refusals.values())


async def drive(limit: int | None, steps: list[tuple[str, object]]) -> None:
    driver = Driver(limit)
    for step, amount in steps:
        before = driver.limiter.in_flight
        await driver.do(step, amount)
        driver.look()
        if driver.limit is not None:
            assert driver.limiter.in_flight <= max(driver.limit, before), "more run than may"
    await driver.end()


@settings(max_examples=400, deadline=None, derandomize=True)
@given(limit=LIMITS, steps=STEPS)
def test_no_slot_is_lost_or_made_up(limit: int | None, steps: list[tuple[str, object]]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(drive(limit, steps))

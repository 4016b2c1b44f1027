"""Leave without cutting anybody off, as far as the deadline allows."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

IDLE_LOOK_S = 0.01


class Drainable(Protocol):
    """What is asked of the request path of a worker."""

    draining: bool  # `/ready` says no

    @property
    def in_flight(self) -> int:
        """Requests that run."""

    def refuse_new(self) -> None:
        """Answer requests that still come on open connections with 503."""

    def cut_running(self) -> None:
        """End the requests that still run with an error, in-band where their answer has begun."""


class Door(Protocol):
    """Where requests come in."""

    async def stop(self) -> None:
        """Stop accepting connections."""


async def drain(services: Drainable, acceptors: Sequence[Door], grace_s: float, deadline_s: float) -> None:
    """Take requests for `grace_s` more, then none; finish what runs until `deadline_s` (both from now), then cut it."""
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    services.draining = True
    await asyncio.sleep(grace_s)
    for acceptor in acceptors:
        await acceptor.stop()
    services.refuse_new()
    while services.in_flight and loop.time() < began_at + deadline_s:  # noqa: ASYNC110 (a count, not an event)
        await asyncio.sleep(IDLE_LOOK_S)
    if services.in_flight:
        services.cut_running()
        await asyncio.sleep(IDLE_LOOK_S)

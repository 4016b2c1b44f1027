"""Stop serving without cutting running requests off, as far as the deadline allows."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

IDLE_LOOK_S = 0.01


class Drainable(Protocol):
    """The request path of a worker, as far as a drain needs it."""

    draining: bool  # `/ready` says no

    @property
    def in_flight(self) -> int:
        """Return how many requests run."""

    def refuse_new(self) -> None:
        """Answer further requests on open connections with 503."""

    def cut_running(self) -> None:
        """End running requests with an error, in the stream where the response has begun."""


class Listener(Protocol):
    """A listener for requests."""

    async def stop(self) -> None:
        """Stop accepting connections."""


async def drain(services: Drainable, listeners: Sequence[Listener], grace_s: float, deadline_s: float) -> None:
    """Take requests for `grace_s` more; then finish running ones until `deadline_s` (both from now), and cut the rest."""
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    services.draining = True
    await asyncio.sleep(grace_s)
    for listener in listeners:
        await listener.stop()
    services.refuse_new()
    while services.in_flight and loop.time() < began_at + deadline_s:  # noqa: ASYNC110 (a count, not an event)
        await asyncio.sleep(IDLE_LOOK_S)
    if services.in_flight:
        services.cut_running()
        await asyncio.sleep(IDLE_LOOK_S)

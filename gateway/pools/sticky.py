"""Which endpoint had a conversation last: a preference over any balancer."""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from gateway.core.clock import Clock
from gateway.pools.endpoint import Endpoint
from gateway.pools.target import Target

MAX_CONVERSATIONS: Final = 10_000  # conversations of one pool
FORGET_AFTER_S: Final = 3600.0  # without an answer
MAX_KEY_CHARS: Final = 128  # characters; of a longer affinity only a hash is kept


class StickyMap:
    """Remembers the last `capacity` conversations of a pool, one or more. Live: it outlasts reloads, since endpoints do.

    What it remembers is a wish: an endpoint that can't be asked now is passed over, and forgotten only once another one has
    answered in its place.
    """

    def __init__(self, clock: Clock, capacity: int = MAX_CONVERSATIONS, forget_after_s: float = FORGET_AFTER_S) -> None:
        self._clock = clock
        self._capacity = capacity
        self._forget_after_s = forget_after_s
        self._entries: OrderedDict[str | bytes, tuple[Endpoint, float]] = OrderedDict()  # the oldest first

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, affinity: str, candidates: Sequence[Target]) -> Target | None:
        """Give the candidate that had this conversation; None where there is none, or no `affinity`."""
        found = self._entries.get(_key(affinity)) if affinity else None
        if found is None:
            return None
        endpoint, noted_at = found
        if self._clock.monotonic() - noted_at > self._forget_after_s:
            return None
        for target in candidates:
            if target.endpoint is endpoint:
                return target
        return None

    def remember(self, affinity: str, endpoint: Endpoint) -> None:
        """Remember that `endpoint` has answered; an empty `affinity` belongs to nothing."""
        if not affinity:
            return
        now, noted, key = self._clock.monotonic(), self._entries, _key(affinity)
        noted[key] = (endpoint, now)
        noted.move_to_end(key)
        while len(noted) > self._capacity or now - next(iter(noted.values()))[1] > self._forget_after_s:
            noted.popitem(last=False)


def _key(affinity: str) -> str | bytes:
    """Give what stands for an affinity: clients choose its length, and memory is bounded."""
    if len(affinity) <= MAX_KEY_CHARS:
        return affinity
    return blake2b(affinity.encode("utf-8", "surrogatepass"), digest_size=16).digest()

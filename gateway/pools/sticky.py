"""The sticky endpoint of each conversation: the one that answered last. Preferred to the balancer's choice."""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from gateway.core.clock import Clock
from gateway.pools.endpoint import Endpoint
from gateway.pools.target import Target

MAX_CONVERSATIONS: Final = 10_000  # of one pool
FORGET_AFTER_S: Final = 3600.0  # without a response
MAX_KEY_CHARS: Final = 128  # a longer affinity is kept as a hash


class StickyMap:
    """Maps the last `capacity` conversations of a pool (1 or more) to endpoints. Live: it outlasts reloads, as endpoints do.

    An entry is a preference: an endpoint that is not eligible now is passed over, and its entry stays until another endpoint
    has answered in its place.
    """

    def __init__(self, clock: Clock, capacity: int = MAX_CONVERSATIONS, forget_after_s: float = FORGET_AFTER_S) -> None:
        self._clock = clock
        self._capacity = capacity
        self._forget_after_s = forget_after_s
        self._entries: OrderedDict[str | bytes, tuple[Endpoint, float]] = OrderedDict()  # oldest first

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, affinity: str, candidates: Sequence[Target]) -> Target | None:
        """Return the candidate whose endpoint answered this conversation last; None if there is none, or `affinity` is empty."""
        found = self._entries.get(_key(affinity)) if affinity else None
        if found is None:
            return None
        endpoint, stored_at = found
        if self._clock.monotonic() - stored_at > self._forget_after_s:
            return None
        for target in candidates:
            if target.endpoint is endpoint:
                return target
        return None

    def remember(self, affinity: str, endpoint: Endpoint) -> None:
        """Record that `endpoint` answered; without effect if `affinity` is empty."""
        if not affinity:
            return
        now, entries, key = self._clock.monotonic(), self._entries, _key(affinity)
        entries[key] = (endpoint, now)
        entries.move_to_end(key)
        while len(entries) > self._capacity or now - next(iter(entries.values()))[1] > self._forget_after_s:
            entries.popitem(last=False)


def _key(affinity: str) -> str | bytes:
    """Return the key of an affinity, of bounded size: clients choose the length of an affinity."""
    if len(affinity) <= MAX_KEY_CHARS:
        return affinity
    return blake2b(affinity.encode("utf-8", "surrogatepass"), digest_size=16).digest()

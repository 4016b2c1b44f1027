"""How long to wait before something that ended is started again."""

from gateway.core.clock import Clock

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 30.0
LONG_LIFE_S = 60.0  # whoever lived so long begins with the first pause again, unless said otherwise


class RestartBackoff:
    """Pauses that double with every short life."""

    def __init__(self, clock: Clock, long_life_s: float = LONG_LIFE_S) -> None:
        self._clock = clock
        self._long_life_s = long_life_s
        self._began_at = 0.0
        self._next_s = FIRST_PAUSE_S

    def begin(self) -> None:
        """A life begins."""
        self._began_at = self._clock.monotonic()

    def after_end(self) -> float:
        """It has ended; gives the seconds to wait before the next begins."""
        if self._clock.monotonic() - self._began_at >= self._long_life_s:
            self._next_s = FIRST_PAUSE_S
        pause_s, self._next_s = self._next_s, min(self._next_s * 2, LONGEST_PAUSE_S)
        return pause_s

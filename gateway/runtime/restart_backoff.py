"""The pauses before a process that ended is started again."""

from gateway.core.clock import Clock

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 30.0
LONG_LIFE_S = 60.0  # after a life of this length the pauses begin anew, unless the caller sets another


class RestartBackoff:
    """Pauses that double with every short life of a process."""

    def __init__(self, clock: Clock, long_life_s: float = LONG_LIFE_S) -> None:
        self._clock = clock
        self._long_life_s = long_life_s
        self._started_at = 0.0
        self._next_s = FIRST_PAUSE_S

    def note_start(self) -> None:
        """Note that the process starts now."""
        self._started_at = self._clock.monotonic()

    def next_pause_s(self) -> float:
        """Return the seconds to wait before the next start; to be called when the process has ended."""
        if self._clock.monotonic() - self._started_at >= self._long_life_s:
            self._next_s = FIRST_PAUSE_S
        pause_s, self._next_s = self._next_s, min(self._next_s * 2, LONGEST_PAUSE_S)
        return pause_s

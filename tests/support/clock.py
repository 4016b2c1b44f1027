"""A clock that only moves when a test advances it."""

from dataclasses import dataclass


@dataclass(slots=True)
class FakeClock:
    """The monotonic and the wall clock; `advance` moves both."""

    monotonic_s: float = 1000.0
    wall_s: float = 1_700_000_000.0

    def monotonic(self) -> float:
        return self.monotonic_s

    def wall(self) -> float:
        return self.wall_s

    def advance(self, seconds: float) -> None:
        """Move both clocks forward."""
        self.monotonic_s += seconds
        self.wall_s += seconds

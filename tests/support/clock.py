"""A clock that stands still until it is told otherwise."""

from dataclasses import dataclass


@dataclass(slots=True)
class FakeClock:
    """Both of the gateway's clocks; `advance` turns them together."""

    monotonic_s: float = 1000.0
    wall_s: float = 1_700_000_000.0

    def monotonic(self) -> float:
        return self.monotonic_s

    def wall(self) -> float:
        return self.wall_s

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.monotonic_s += seconds
        self.wall_s += seconds

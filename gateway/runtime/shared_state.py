"""The state that all workers share beside the configuration, kept by control for workers that start later."""

from gateway.core.clock import Clock
from gateway.runtime.messages import ChildCondition, EndpointEvent


class EndpointEvents:
    """The endpoint events of all workers: the last one of each kind for each endpoint, for as long as it holds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[tuple[str, str], tuple[EndpointEvent, float]] = {}  # with the time at which it ends

    def add(self, event: EndpointEvent) -> None:
        """Keep `event` for its seconds."""
        now = self._clock.monotonic()
        self._held = {key: held for key, held in self._held.items() if held[1] > now}
        self._held[event.identity, event.kind] = event, now + event.seconds

    def remove_refused_keys(self) -> None:
        """Drop every refusal of a key: the operator has enabled endpoints."""
        self._held = {key: held for key, held in self._held.items() if held[0].kind != "key_refused"}

    def current(self) -> tuple[EndpointEvent, ...]:
        """Return the events that still hold, each with its remaining seconds."""
        now = self._clock.monotonic()
        return tuple(
            EndpointEvent(event.identity, event.kind, until - now)
            for event, until in self._held.values()
            if until > now
        )


class SharedState:
    """All of it: the conditions of managed servers by provider, the drained names, and the endpoint events."""

    def __init__(self, clock: Clock) -> None:
        self.children: dict[str, ChildCondition] = {}
        self.drained: tuple[str, ...] = ()
        self.events = EndpointEvents(clock)

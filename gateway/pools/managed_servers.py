"""States of the servers that the gateway itself starts: whether one is warming up, up or down."""

import asyncio
from typing import Literal

ServerState = Literal["warming", "up", "down"]


class ManagedServers:
    """The state of each managed server, by provider, as control reports it. Any other provider counts as up."""

    def __init__(self) -> None:
        self._states: dict[str, ServerState] = {}
        self._changed = asyncio.Event()

    def set_state(self, provider: str, state: ServerState) -> None:
        """Record a state, and wake every task in `wait`."""
        self._states[provider] = state
        self._changed.set()
        self._changed = asyncio.Event()

    def retain(self, providers: set[str]) -> None:
        """Forget every other provider."""
        self._states = {name: state for name, state in self._states.items() if name in providers}

    def is_warming(self, provider: str) -> bool:
        return self._states.get(provider) == "warming"

    @property
    def warming(self) -> list[str]:
        """The names of the providers that are warming up, in alphabetical order."""
        return sorted(name for name, state in self._states.items() if state == "warming")

    @property
    def down(self) -> list[str]:
        """The names of the providers that are down, in alphabetical order."""
        return sorted(name for name, state in self._states.items() if state == "down")

    async def wait(self, provider: str, timeout_s: float | None) -> None:
        """Wait while `provider` is warming up. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while self.is_warming(provider):
                await self._changed.wait()

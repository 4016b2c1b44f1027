"""Which of the providers that the gateway itself starts can be asked already."""

import asyncio
from typing import Literal

ServerState = Literal["warming", "up", "down"]


class ManagedServers:
    """The states of the embedded servers, as control tells them; a provider that is none of them is always up."""

    def __init__(self) -> None:
        self._states: dict[str, ServerState] = {}
        self._changed = asyncio.Event()

    def set_state(self, provider: str, state: ServerState) -> None:
        """Note a state, and wake whoever waits for it."""
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
        """The names of those that warm up, in alphabetical order."""
        return sorted(name for name, state in self._states.items() if state == "warming")

    @property
    def down(self) -> list[str]:
        """The names of those that don't run, in alphabetical order."""
        return sorted(name for name, state in self._states.items() if state == "down")

    async def wait(self, provider: str, patience_s: float | None) -> None:
        """Wait while `provider` warms up. Raises TimeoutError."""
        async with asyncio.timeout(patience_s):
            while self.is_warming(provider):
                await self._changed.wait()

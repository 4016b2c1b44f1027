"""One client before one server: asks, and holds what a simulated provider says to what it says when it is asked directly."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tests.matrix.asks import Ask, Said, Turn
from tests.matrix.cases import Provider
from tests.matrix.clients.base import Client, Server

HELLO = (Turn("system", "Be brief"), Turn("user", "Count from one to twenty"))


@dataclass
class Probe:
    """`server` is the gateway, or the provider itself where `is_direct`."""

    client: Client
    server: Server
    provider: Provider
    wait_until_left: Callable[[Provider, str, int], None]  # provider, model, leavers before
    leavers: Callable[[Provider, str], int]
    is_direct: bool = False
    twin: Server | None = None  # speaks every dialect; asked the same, says the same
    heard: dict[Any, Said] = field(default_factory=dict)  # from the twin, shared by all

    @property
    def is_simulated(self) -> bool:
        return self.provider.backend == "simulator"

    def ask(self, behaviour: str = "", turns: Sequence[Turn] = HELLO, *, alone: bool = False, **options: Any) -> Said:
        """Ask, and compare with the twin, unless `alone`."""
        ask = self.asked(behaviour, turns, **options)
        said = self.client.ask(self.server, ask)
        if not alone:
            self.compare(ask, said)
        return said

    def asked(self, behaviour: str = "", turns: Sequence[Turn] = HELLO, **options: Any) -> Ask:
        if self.provider.backend == "llama":
            options = {"max_tokens": 5, "temperature": 0.0, **options}
        return Ask(self.provider.model(behaviour), tuple(turns), **options)

    def compare(self, ask: Ask, said: Said) -> None:
        """Hold an answer to what the twin says, where there is one."""
        if self.twin is None:
            return
        key = (self.client.name, self.client.dialect, msgspec.json.encode(ask))
        if key not in self.heard:
            self.heard[key] = self.client.ask(self.twin, ask)
        one, other = _bare(said), _bare(self.heard[key])
        assert one == other, f"{one} is not {other}"


def _bare(said: Said) -> Said:
    """Leave out what may differ: the words of errors, how arguments are cut, ids that a server counts."""
    failed = said.failed and msgspec.structs.replace(said.failed, message="", has_request_id=False)
    calls = tuple(
        call if call.id.startswith("call_step_") else msgspec.structs.replace(call, id="") for call in said.calls
    )
    return msgspec.structs.replace(said, failed=failed, calls=calls, argument_pieces=0)

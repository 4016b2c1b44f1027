"""A worker's side of a reload: compile a configuration beside the one in force, then activate or discard it.

The worker's reader loop only queues these messages, so it answers all others while a configuration compiles. They take
effect one at a time, in the order received. So no activation, which drops live endpoints that its snapshot does not name,
runs while another snapshot is being compiled from the same endpoints. At most one snapshot is prepared:

| message | the prepared snapshot after it | answer |
|---|---|---|
| Prepare(g), compiles | g, instead of another | Prepared without a problem |
| Prepare(g), fails | as before | Prepared with the problem |
| Activate(g), g is prepared | none | Activated(g) |
| Activate(g), g is not prepared | as before | Activated(generation in force) |
| Discard(g) | none if it was g | |
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from gateway.core.problem import ConfigError
from gateway.runtime.messages import Activate, Activated, Discard, Prepare, Prepared
from gateway.snapshot import Snapshot

log = logging.getLogger(__name__)


class Compile(Protocol):
    """Compiles beside the loop; the future may hold a ConfigError."""

    def __call__(self, encoded: bytes, generation: int, addresses: dict[str, str]) -> "asyncio.Future[Snapshot]": ...


class ConfigChanges:
    """`activate` puts a snapshot in force, on the loop; `send` sends an answer to control."""

    def __init__(
        self,
        compile: Compile,
        activate: Callable[[Snapshot], None],
        send: Callable[[Prepared | Activated], None],
        generation: int,
    ) -> None:
        self._compile = compile
        self._activate = activate
        self._send = send
        self._generation = generation  # in force
        self._prepared: Snapshot | None = None
        self._queue: asyncio.Queue[Prepare | Activate | Discard] = asyncio.Queue()

    def handle(self, message: Prepare | Activate | Discard) -> None:
        """Queue a message; `run` answers it."""
        self._queue.put_nowait(message)

    async def run(self) -> None:
        """Handle the queued messages for ever. An error while activating ends it: the worker is in no known state then."""
        while True:
            match await self._queue.get():
                case Prepare() as message:
                    self._send(Prepared(message.id, await self._prepare(message)))
                case Activate(generation=generation, id=id):
                    if self._prepared is not None and self._prepared.generation == generation:
                        prepared, self._prepared = self._prepared, None
                        self._activate(prepared)
                        self._generation = generation
                    self._send(Activated(id, self._generation))
                case Discard(generation=generation):
                    if self._prepared is not None and self._prepared.generation == generation:
                        self._prepared = None

    async def _prepare(self, message: Prepare) -> str:
        """Compile beside the configuration in force. Return the problem, "" for none."""
        compiling = self._compile(message.spec, message.generation, message.addresses)
        await asyncio.wait([compiling])
        match compiling.exception():
            case None:
                self._prepared = compiling.result()
                return ""
            case ConfigError() as error:
                return str(error)
            case error:
                log.error("configuration does not compile", exc_info=error)
                return f"{type(error).__name__} while compiling"

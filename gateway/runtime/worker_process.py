"""One living worker process, as control sees it."""

import asyncio
import logging
import socket
import subprocess
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from gateway.runtime import bus
from gateway.runtime.launch import LaunchedWorker
from gateway.runtime.reaper import Reaper, end

log = logging.getLogger(__name__)

ENDING_PATIENCE_S = 5.0  # between the end of the bus and the end of the process


class WorkerProcess:
    """A worker and the questions that it owes an answer to.

    `number` names its place, which a successor will have; `generation` is what it serves, 0 before it serves anything.
    `on_message` hears of everything that it says, before whoever asked does.
    """

    def __init__(
        self, number: int, launched: LaunchedWorker, on_message: Callable[["WorkerProcess", bus.ToControl], None]
    ):
        self.number = number
        self.name = f"worker-{number} (pid {launched.process.pid})"
        self.generation = 0
        self.prepared = 0  # the generation that it was last asked to prepare, and could
        self.silent_for = 0  # checks in a row at which it had said nothing since the one before
        self.accepts: tuple[int, ...] = ()  # the listening sockets that it was last told to accept on
        self._process: subprocess.Popen[bytes] = launched.process
        self._end = launched.bus
        self._link: bus.Link | None = None
        self._on_message = on_message
        self._asked: dict[int, asyncio.Future[bus.Answer | None]] = {}
        self._count = 0
        self._early: list[bus.ToWorker] = []  # said to it before it could be reached

    @property
    def pid(self) -> int:
        return self._process.pid

    async def live(self, start: bus.Start, listeners: Sequence[socket.socket], reaper: Reaper) -> int:
        """Give it its start, listen to it, and wait for its end; gives its exit code."""
        try:
            bus.send_listeners(self._end, listeners)
            self._link = await bus.Link.open(self._end)
            for message in (start, *self._early):
                self._link.send(message)
            await self._listen(self._link)
        except (OSError, bus.BusError) as error:
            log.error("lost the bus to a worker", extra={"worker": self.name, "pid": self.pid, "reason": str(error)})
        finally:
            for asked in self._asked.values():
                if not asked.done():
                    asked.set_result(None)
            if self._link is not None:
                self._link.close()
            else:
                self._end.close()
        try:
            return await asyncio.wait_for(reaper.wait(self._process), ENDING_PATIENCE_S)
        except TimeoutError:
            await end(reaper, self._process, 0.0)
            return await reaper.wait(self._process)

    def tell(self, message: bus.ToWorker) -> None:
        """Send a message that has no answer, behind the start; dropped where the worker is gone."""
        if self._link is not None:
            self._link.send(message)
        else:
            self._early.append(message)

    async def ask(self, question: bus.Question, patience_s: float) -> bus.Answer | None:
        """Send `question` under an id of its own, and wait; None where the worker dies or takes longer."""
        if self._link is None:
            return None
        self._count = number = self._count + 1
        self._asked[number] = answer = asyncio.get_running_loop().create_future()
        self._link.send(replace(question, id=number))
        try:
            return await asyncio.wait_for(answer, patience_s)
        except TimeoutError:
            return None
        finally:
            del self._asked[number]

    def kill(self) -> None:
        """End it at once."""
        if self._process.poll() is None:
            self._process.kill()

    async def _listen(self, link: bus.Link) -> None:
        decoder = bus.to_control_decoder()
        while (message := await link.receive(decoder)) is not None:
            self.silent_for = 0
            self._on_message(self, message)
            if isinstance(message, bus.Answer):
                asked = self._asked.get(message.id)
                if asked is not None and not asked.done():
                    asked.set_result(message)

"""One running worker process, as control sees it."""

import asyncio
import logging
import socket
import subprocess
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from gateway.runtime import bus, messages
from gateway.runtime.launch import LaunchedWorker
from gateway.runtime.reaper import Reaper, end

log = logging.getLogger(__name__)

ENDING_PATIENCE_S = 5.0  # between the end of the bus and the end of the process


class WorkerProcess:
    """A worker and the questions that it has not answered yet.

    `number` names its slot, which its successor takes over; `generation` is the one it serves, 0 before it serves any.
    `on_message` is called with every message of the worker, before the question's answer is returned by `ask`.
    """

    def __init__(
        self, number: int, launched: LaunchedWorker, on_message: Callable[["WorkerProcess", messages.ToControl], None]
    ):
        self.number = number
        self.name = f"worker-{number} (pid {launched.process.pid})"
        self.generation = 0
        self.prepared = 0  # the generation that it compiled last and did not activate or discard; 0 for none
        self.silent_checks = 0  # checks in a row without a message since the check before
        self.accepts: tuple[int, ...] = ()  # the listening sockets that it was last sent to accept on
        self._process: subprocess.Popen[bytes] = launched.process
        self._end = launched.bus
        self._link: bus.Link | None = None
        self._on_message = on_message
        self._questions: dict[int, asyncio.Future[messages.Answer | None]] = {}  # by id
        self._last_id = 0
        self._unsent: list[messages.ToWorker] = []  # sent before the link was open
        self._bus_has_ended = False

    @property
    def pid(self) -> int:
        return self._process.pid

    async def run(self, start: messages.Start, listeners: Sequence[socket.socket], reaper: Reaper) -> int:
        """Send the start, handle the worker's messages until its end, and return its exit code."""
        try:
            bus.send_listeners(self._end, listeners)
            self._link = await bus.Link.open(self._end)
            for message in (start, *self._unsent):
                self._link.send(message)
            await self._receive(self._link)
        except (OSError, bus.BusError) as error:
            log.error("lost the bus to a worker", extra={"worker": self.name, "pid": self.pid, "reason": str(error)})
        finally:
            self._bus_has_ended = True
            for question in self._questions.values():
                if not question.done():
                    question.set_result(None)
            if self._link is not None:
                self._link.close()
            else:
                self._end.close()
        try:
            return await asyncio.wait_for(reaper.wait(self._process), ENDING_PATIENCE_S)
        except TimeoutError:
            await end(reaper, self._process, 0.0)
            return await reaper.wait(self._process)

    def send(self, message: messages.ToWorker) -> None:
        """Send a message that has no answer, after the start; dropped where the worker is gone."""
        if self._link is not None:
            self._link.send(message)
        else:
            self._unsent.append(message)

    async def ask(self, question: messages.Question, patience_s: float) -> messages.Answer | None:
        """Send `question` under an id of its own, and return the answer; None where the worker ends or takes longer."""
        if self._link is None or self._bus_has_ended:
            return None
        self._last_id = id = self._last_id + 1
        self._questions[id] = answer = asyncio.get_running_loop().create_future()
        self._link.send(replace(question, id=id))
        try:
            return await asyncio.wait_for(answer, patience_s)
        except TimeoutError:
            return None
        finally:
            del self._questions[id]

    def kill(self) -> None:
        """End the process at once."""
        if self._process.poll() is None:
            self._process.kill()

    async def _receive(self, link: bus.Link) -> None:
        decoder = bus.to_control_decoder()
        while (message := await link.receive(decoder)) is not None:
            self.silent_checks = 0
            self._on_message(self, message)
            if isinstance(message, messages.Answer):
                question = self._questions.get(message.id)
                if question is not None and not question.done():
                    question.set_result(message)

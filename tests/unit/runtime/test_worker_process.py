"""A question to a worker has an answer at once where the worker's bus has ended and its process has not yet."""

import asyncio
import socket

from gateway.runtime import bus, messages
from gateway.runtime.launch import LaunchedWorker
from gateway.runtime.worker_process import WorkerProcess


class LastingProcess:
    """A process that stays after its bus has ended, until `ended` is set."""

    pid = 1000

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    def poll(self) -> int | None:
        return 0 if self.ended.is_set() else None


class EventReaper:
    def __init__(self) -> None:
        self.waits = asyncio.Event()

    async def wait(self, process: LastingProcess) -> int:
        self.waits.set()
        await process.ended.wait()
        return 0


async def test_a_question_after_the_end_of_the_bus_is_answered_at_once() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    process, reaper = LastingProcess(), EventReaper()
    worker = WorkerProcess(1, LaunchedWorker(process, ours), lambda *_: None)  # type: ignore[arg-type]
    start = messages.Start(
        number=1, workers=1, generation=1, spec=b"", addresses={}, children={}, entries=(), accept=()
    )
    running = asyncio.create_task(worker.run(start, (), reaper))  # type: ignore[arg-type]
    await asyncio.to_thread(bus.receive_start, theirs)
    theirs.close()
    await reaper.waits.wait()
    async with asyncio.timeout(5):
        assert await worker.ask(messages.Prepare(2, b"", {}), patience_s=3600) is None
    process.ended.set()
    assert await running == 0

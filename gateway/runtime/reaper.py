"""Wait for the end of child processes."""

import asyncio
import signal
import subprocess


class Reaper:
    """Waits for child processes without a thread for each: on SIGCHLD it polls every process that it watches."""

    def __init__(self) -> None:
        self._watched: dict[subprocess.Popen[bytes], asyncio.Future[int]] = {}

    def open(self) -> None:
        """Listen for SIGCHLD; to be called on the running loop of the main thread."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)

    def close(self) -> None:
        """Stop listening."""
        asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)

    async def wait(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for the end of `process`. Return its exit code, negative for the signal that ended it."""
        if process not in self._watched:
            self._watched[process] = asyncio.get_running_loop().create_future()
        ended = self._watched[process]
        self._reap()  # it may have ended before it was watched
        return await asyncio.shield(ended)

    def _reap(self) -> None:
        for process, ended in list(self._watched.items()):
            code = process.poll()
            if code is not None:
                del self._watched[process]
                if not ended.done():
                    ended.set_result(code)


async def end(reaper: Reaper, process: subprocess.Popen[bytes], patience_s: float) -> bool:
    """End `process` by SIGTERM, then by SIGKILL. Return whether it ended within `patience_s` after SIGTERM."""
    if process.poll() is None:
        process.terminate()
    try:
        await asyncio.wait_for(reaper.wait(process), patience_s)
    except TimeoutError:
        process.kill()
        await reaper.wait(process)
        return False
    return True

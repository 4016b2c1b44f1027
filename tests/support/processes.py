"""Real processes for tests: started in their own session, watched, and always terminated."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.support.waiting import wait_for

STOP_S = 15.0


def free_port() -> int:
    """Return an unused TCP port of the loopback."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class PythonProcess:
    """`python -m MODULE …` with its output in a file, or at descriptors `stdout`, `stderr`.

    As a context manager it only ends the process.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        log: Path,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> None:
        self._log = log
        self._is_over = False
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output if stdout is None else stdout,
                stderr=output if stderr is None else stderr,
                env={**os.environ, **(env or {})},
                start_new_session=True,
                pass_fds=pass_fds,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._popen.poll()

    def log(self) -> str:
        """Return its output so far."""
        return self._log.read_text(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout_s: float = STOP_S) -> int:
        """Wait until it ends; return the exit code."""
        return self._popen.wait(timeout_s)

    def stop(self) -> int:
        """Send SIGTERM and wait; return the exit code."""
        if self.exit_code is None:
            self._popen.terminate()
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            raise AssertionError(f"process {self.pid} ignores SIGTERM:\n{self.log()[-4000:]}") from None
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill it and its process group."""
        if self._is_over:
            return  # the group id may have been reused
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        self._is_over = True


def children_of(pid: int) -> list[int]:
    """Return the direct children of a process."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in _read(task).split()]


def command_of(pid: int) -> str:
    """Return the command line of a process; "" if it is gone."""
    return _read(Path(f"/proc/{pid}/cmdline")).replace("\0", " ")


def is_alive(pid: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    return ") Z " not in (stat := _read(Path(f"/proc/{pid}/stat"))) and bool(stat)


def rss_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    lines = _read(Path(f"/proc/{pid}/status")).splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)


def open_descriptors(pid: int) -> int:
    """Return the number of open file descriptors of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def wait_for_end(pids: Sequence[int], timeout_s: float = STOP_S) -> None:
    """Wait until none of the processes is alive."""
    wait_for(lambda: not any(map(is_alive, pids)), f"the end of processes {list(pids)}", timeout_s)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""

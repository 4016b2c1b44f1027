"""Start the gateway's other processes.

Imports next to nothing: the first worker is launched, and imports its modules on the second core, before control has
imported anything heavy.
"""

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.runtime.notify import Notifier

# Only control handles these signals, also where they are sent to every process of the gateway. Blocked signals stay
# blocked over exec: at no moment could a new process die of one.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_FOR_CONTROL_ONLY = (signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Lifeline:
    """A pipe without data. Control and workers hold its write end: when the last of them is gone, for whatever reason,
    children read the end of the pipe and exit."""

    read_fd: int
    write_fd: int


@dataclass(frozen=True, slots=True)
class LaunchedWorker:
    """A worker process, waiting for its first message on the other end of `bus`."""

    process: subprocess.Popen[bytes]
    bus: socket.socket


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What control has made before it imports the rest."""

    lifeline: Lifeline
    first_worker: LaunchedWorker
    notifier: Notifier
    early_signals: Sequence[int]  # stop signals received before the loop handles them


def make_lifeline() -> Lifeline:
    """Return a new pipe; a process inherits an end only where `launch` passes it on."""
    return Lifeline(*os.pipe())


def launch_worker(lifeline: Lifeline) -> LaunchedWorker:
    """Start a worker process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with theirs:
        fd = theirs.fileno()
        process = launch("gateway.runtime.worker", ["--bus", str(fd)], [fd, lifeline.write_fd])
    return LaunchedWorker(process, ours)


def launch(module: str, arguments: Sequence[str], fds: Sequence[int]) -> subprocess.Popen[bytes]:
    """Run a module in a new interpreter that inherits `fds`, under their numbers.

    It gets a process group of its own: Ctrl-C, or a signal to the whole group of control, reaches control alone, which
    lets the others finish first.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_CONTROL_ONLY)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdin=subprocess.DEVNULL, pass_fds=fds, process_group=0
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def open_standard_streams() -> None:
    """Open /dev/null in place of a closed stdin, stdout or stderr: a socket or file would get its number otherwise."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number: `fd`


def raise_descriptor_limit() -> None:
    """Raise the soft limit of file descriptors to the hard one; processes that are launched later inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

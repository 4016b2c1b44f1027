"""Start processes of our own.

Imports next to nothing: the first worker is on its way, loading what it needs on the second core, before the parent
has loaded anything heavy.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.runtime.notify import Notifier

# Only control decides what these mean, even where somebody sends them to every process of the gateway. Blocked signals
# stay blocked over exec: there is no moment at which a newborn process could die of one.
_FOR_CONTROL_ONLY = (signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Lifeline:
    """A pipe that nobody writes to. Control and workers hold its write end: when the last of them is gone, by whatever
    means, children read its end and leave."""

    read_fd: int
    write_fd: int


@dataclass(frozen=True, slots=True)
class LaunchedWorker:
    """A worker process that waits for its first message on the other end of `bus`."""

    process: subprocess.Popen[bytes]
    bus: socket.socket


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What control has before it has anything else."""

    lifeline: Lifeline
    first: LaunchedWorker
    notifier: Notifier
    early: Sequence[int]  # signals to stop that have come so far


def make_lifeline() -> Lifeline:
    """A fresh pipe; neither end is inherited unless handed over."""
    return Lifeline(*os.pipe())


def launch_worker(lifeline: Lifeline) -> LaunchedWorker:
    """Start a worker process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with theirs:
        fd = theirs.fileno()
        process = launch("gateway.runtime.worker", ["--bus", str(fd)], [fd, lifeline.write_fd])
    return LaunchedWorker(process, ours)


def launch(module: str, arguments: Sequence[str], fds: Sequence[int]) -> subprocess.Popen[bytes]:
    """Run a module of ours in a fresh interpreter that inherits `fds`, under their numbers.

    In a process group of its own: Ctrl-C, and whoever stops the whole group of control, reach control alone, which
    lets the others finish first.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_CONTROL_ONLY)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdin=subprocess.DEVNULL, pass_fds=fds, process_group=0
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

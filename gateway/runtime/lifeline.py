"""End with those who started us, however they ended."""

import os
import select
import socket
import threading
from collections.abc import Callable


def end_with(fd: int) -> None:
    """Watch the read end of a pipe that nobody writes to: when the last holder of its write end is gone, so is this process.

    A thread, so that a busy or stuck event loop, or a foreign server's own loop, can't outlive the gateway.
    """
    threading.Thread(target=_wait, args=(fd,), name="lifeline", daemon=True).start()


def end_after(peer: socket.socket, patience_s: Callable[[], float]) -> None:
    """Watch a Unix socket: `patience_s` after its other side has gone, this process ends, whatever its loop does."""
    thread = threading.Thread(target=_wait_for_hangup, args=(peer.dup(), patience_s), name="lifeline", daemon=True)
    thread.start()


def _wait(fd: int) -> None:
    while os.read(fd, 1):
        pass
    os._exit(0)


def _wait_for_hangup(peer: socket.socket, patience_s: Callable[[], float]) -> None:
    poll = select.poll()
    poll.register(peer, 0)  # hang-ups are told unasked, and nothing else
    poll.poll()
    threading.Event().wait(patience_s())
    os._exit(1)

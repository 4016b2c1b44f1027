"""End this process with the processes that started it, however they ended."""

import os
import select
import socket
import threading
from collections.abc import Callable
from typing import Final

MISSING_PACKAGE: Final = 3  # exit code of a managed server without an optional package; control does not restart it


def end_with(fd: int) -> None:
    """Watch the read end of a pipe without data: when the last holder of its write end is gone, end this process.

    In a thread, so that a busy or stuck event loop, or the loop of a foreign server, can't outlive the gateway.
    """
    threading.Thread(target=_wait, args=(fd,), name="lifeline", daemon=True).start()


def end_after(peer: socket.socket, patience_s: Callable[[], float]) -> None:
    """Watch a Unix socket: `patience_s` after its other side has gone, end this process, whatever its loop does."""
    thread = threading.Thread(target=_wait_for_hangup, args=(peer.dup(), patience_s), name="lifeline", daemon=True)
    thread.start()


def _wait(fd: int) -> None:
    while os.read(fd, 1):
        pass
    os._exit(0)


def _wait_for_hangup(peer: socket.socket, patience_s: Callable[[], float]) -> None:
    poll = select.poll()
    poll.register(peer, 0)  # reports hang-ups, and nothing else
    poll.poll()
    threading.Event().wait(patience_s())
    os._exit(1)

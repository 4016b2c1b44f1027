"""End with those who started us, however they ended."""

import os
import threading


def end_with(fd: int) -> None:
    """Watch the read end of a pipe that nobody writes to: when the last holder of its write end is gone, so is this process.

    A thread, so that a busy or stuck event loop, or a foreign server's own loop, can't outlive the gateway.
    """
    threading.Thread(target=_wait, args=(fd,), name="lifeline", daemon=True).start()


def _wait(fd: int) -> None:
    while os.read(fd, 1):
        pass
    os._exit(0)

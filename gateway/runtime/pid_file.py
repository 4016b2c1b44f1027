"""The file with the process id of control, for tools that send signals by such a file.

A lock distinguishes a running gateway from a stale file: the kernel releases it with the process, however that ended,
while the process id may belong to another process by now.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class PidFileError(Exception):
    """The file can't be written or locked; the message names it."""


@contextlib.contextmanager
def pid_file(path: Path | None) -> Iterator[None]:
    """Keep the file, with the id of this process, while the context lasts, then remove it; None: no file.

    Raise PidFileError if it can't be written, or another running gateway holds it.
    """
    if path is None:
        yield
        return
    fd = _take(path)
    try:
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        yield
    finally:
        path.unlink(missing_ok=True)  # before the lock is released: no other gateway can hold it yet
        os.close(fd)


def _take(path: Path) -> int:
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise PidFileError(f"pid file {path}: {(error.strerror or str(error)).lower()}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(fd, path):
                return fd
        except BlockingIOError:
            holder = os.read(fd, 32).decode(errors="replace").strip()
            os.close(fd)
            raise PidFileError(f"pid file {path}: another gateway is running (pid {holder})") from None
        os.close(fd)  # its owner removed it after it was opened here, and before it was locked


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.lstat())
    except FileNotFoundError:
        return False

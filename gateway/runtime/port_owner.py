"""Which process listens on a TCP port, as far as /proc shows it: of other users only to root."""

import contextlib
from itertools import pairwise
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_LISTENING: Final = "0A"  # the state in /proc/net/tcp


def port_owner(port: int, proc: Path = _PROC) -> str:
    """Return the process as in `python (pid 4242)`, or "" where it can't be found. Reads all of /proc: for errors only."""
    inodes = {f"socket:[{inode}]" for inode in _inodes(port, proc)}
    if not port or not inodes:
        return ""
    for process in sorted(proc.glob("[0-9]*"), key=lambda one: int(one.name)):
        with contextlib.suppress(OSError):  # ended meanwhile, or another user's
            if any(_target(descriptor) in inodes for descriptor in (process / "fd").iterdir()):
                return f"{_name(process)} (pid {process.name})"
    return ""


def _inodes(port: int, proc: Path) -> set[str]:
    """Return the numbers of the sockets that listen on a port, of IPv4 and IPv6."""
    found = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (proc / "net" / table).read_text().splitlines()[1:]:
                _, local, _, state, *rest = line.split()
                if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                    found.add(rest[5])
    return found


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:
        return ""


def _name(process: Path) -> str:
    """Return a process' name for a message: that of its program, printable."""
    name = (process / "comm").read_text(errors="replace").strip()
    words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    module = next((word for before, word in pairwise(words) if before == "-m"), "")
    shown = module or name
    return "".join(letter if letter.isprintable() else "?" for letter in shown)[:60]

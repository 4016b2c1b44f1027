"""File descriptors: as many as the system allows, and how many of them clients may take."""

import resource
from typing import Final

RESERVED: Final = 64  # the process' own: listeners, bus, log, files
FEWEST_CONNECTIONS: Final = 16


def raise_limit() -> None:
    """Lift the soft limit to the hard one; the processes that are started later inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def most_connections() -> int:
    """Give how many connections of clients fit under the limit: each may need a second descriptor, to its provider."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        soft = 2**20
    return max(FEWEST_CONNECTIONS, (soft - RESERVED) // 2)

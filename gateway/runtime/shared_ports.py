"""The public listeners of several workers: for each TCP address one socket per worker, on one port.

With SO_REUSEPORT the kernel distributes connections evenly. Workers that accept from one shared socket take connections
as they wake up, and one worker gets most. Unix sockets have no such option: all workers accept from the same one.
"""

import contextlib
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.config.spec import Listen
from gateway.runtime.listeners import BACKLOG, SEND_BUFFER_BYTES, ListenError, address_of, close_all, listen_on


@dataclass(frozen=True, slots=True)
class DataSockets:
    """Listening sockets, and for each the entry of `server.listen` that it was opened for.

    `by_worker`: the indexes in `sockets` that each worker accepts on.
    """

    sockets: tuple[socket.socket, ...] = ()
    entries: tuple[int, ...] = ()
    by_worker: tuple[tuple[int, ...], ...] = ((),)

    @property
    def addresses(self) -> list[str]:
        """Return the listening addresses, as the configuration writes them, each once."""
        return list(dict.fromkeys(map(address_of, self.sockets)))

    def close(self) -> None:
        """Close all sockets."""
        close_all(self.sockets)


def open_data_sockets(addresses: Sequence[Listen], workers: int) -> DataSockets:
    """Listen on all addresses for this number of workers. Raise ListenError and listen on none if one fails."""
    with contextlib.ExitStack() as opened:
        sockets: list[socket.socket] = []
        entries: list[int] = []
        by_worker: list[list[int]] = [[] for _ in range(workers)]
        for entry, address in enumerate(addresses):
            for shares in _open(address, workers):
                for worker, share in enumerate(shares):
                    if share not in sockets:
                        sockets.append(opened.enter_context(share))
                        entries.append(entry)
                    by_worker[worker].append(sockets.index(share))
        opened.pop_all()
        return DataSockets(tuple(sockets), tuple(entries), tuple(map(tuple, by_worker)))


def _open(address: Listen, workers: int) -> list[list[socket.socket]]:
    """Return one socket per worker for each address that a host name resolves to."""
    plain = listen_on([address])  # fails if it is in use: with SO_REUSEPORT a second gateway would share the port
    if workers == 1 or address.path:
        return [[one] * workers for one in plain]
    names = [(one.family, one.getsockname()) for one in plain]
    close_all(plain)
    shared: list[list[socket.socket]] = []
    try:
        for family, name in names:
            shared.append([])
            for _ in range(workers):
                shared[-1].append(_listen(family, name))
    except OSError as error:
        close_all(one for shares in shared for one in shares)
        raise ListenError(f"{address}: {(error.strerror or str(error)).lower()}") from error
    return shared


def _listen(family: int, name: object) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        one.bind(name)  # type: ignore[arg-type]
        one.listen(BACKLOG)
        one.setblocking(False)
    except OSError:
        one.close()
        raise
    return one

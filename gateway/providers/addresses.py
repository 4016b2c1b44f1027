"""The addresses of host names: looked up in a thread, cached, rotated.

`getaddrinfo` returns no time to live, so a result is cached for `CACHE_S`. It can't be interrupted either: each look-up has its
own thread, at most one for each name, so a name server that hangs on one name delays no look-up of another. Where a new look-up
fails or is slow, the cached addresses stay in use: a broken name server stops no traffic.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from itertools import chain, zip_longest
from typing import Any, Final

CACHE_S: Final = 30.0  # lifetime of a result
FAILED_LOOKUP_PAUSE_S: Final = 1.0  # from a failed look-up to the next, while there are cached addresses
REFRESH_TIMEOUT_S: Final = 0.5  # wait for a new look-up while there are cached addresses
FAILED_ADDRESS_S: Final = 30.0  # for so long a failed address is tried last

Address = tuple[int, int, int, str, tuple[Any, ...]]  # as `getaddrinfo` returns them
Lookup = Callable[[str, int], Sequence[Address]]


class Addresses:
    """The addresses of all names that the transport connects to. For one event loop."""

    def __init__(self, lookup: Lookup | None = None) -> None:
        self._lookup = lookup or _lookup
        self._names: dict[tuple[str, int], _Name] = {}

    async def of(self, host: str, port: int) -> list[Address]:
        """Return the addresses in the order to try them: each call begins with another one; failed ones come last.

        Raises OSError where there are none. Has no timeout of its own: the caller sets one.
        """
        name = self._names.get((host, port))
        if name is None:
            name = self._names[host, port] = _Name(_literal_address(host, port))
        loop = asyncio.get_running_loop()
        if name.is_due(loop.time()):
            running = name.running or self._start(name, host, port)
            await asyncio.wait((running,), timeout=REFRESH_TIMEOUT_S if name.found else None)
        if not name.found:
            raise name.error or OSError("no address")
        return name.rotated(loop.time())

    def record_failures(self, host: str, port: int, addresses: Collection[Address]) -> None:
        """Record the addresses to which no connection was possible."""
        name = self._names.get((host, port))
        if name is not None and addresses:
            name.failed.update(dict.fromkeys((one[4] for one in addresses), asyncio.get_running_loop().time()))

    def retain(self, names: Collection[tuple[str, int]]) -> None:
        """Forget every other name."""
        for one in [one for one in self._names if one not in names]:
            del self._names[one]

    def _start(self, name: "_Name", host: str, port: int) -> "asyncio.Future[None]":
        loop = asyncio.get_running_loop()
        name.running = running = loop.create_future()

        def settle(found: Sequence[Address], error: OSError | None) -> None:
            name.settle(found, error, loop.time())
            running.set_result(None)

        def look() -> None:
            found: Sequence[Address] = ()
            error = None
            try:
                found = self._lookup(host, port)
            except OSError as caught:
                error = caught
            except UnicodeError:  # a label that is empty or too long
                error = socket.gaierror(socket.EAI_NONAME, "not a name")
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(settle, found, error)

        # A daemon thread: a look-up that hangs must not delay the end of the process.
        threading.Thread(target=look, name="look-up", daemon=True).start()
        return running


class _Name:
    """The state of one name. `running`: the look-up under way, done once its result is stored."""

    def __init__(self, literal: list[Address]) -> None:
        self.found = literal
        self.failed: dict[tuple[Any, ...], float] = {}
        self.error: OSError | None = None
        self.running: asyncio.Future[None] | None = None
        self._due_at = float("inf") if literal else 0.0
        self._turn = -1

    def is_due(self, now: float) -> bool:
        return now >= self._due_at

    def settle(self, found: Sequence[Address], error: OSError | None, now: float) -> None:
        """Store the result of a look-up."""
        self.running, self.error = None, error
        if found:
            self.found, self._due_at = list(found), now + CACHE_S
            known = {one[4] for one in found}
            self.failed = {address: at for address, at in self.failed.items() if address in known}
        else:
            self._due_at = now + FAILED_LOOKUP_PAUSE_S if self.found else 0.0

    def rotated(self, now: float) -> list[Address]:
        """Return the addresses, each family rotated, the families alternating in the order that the system prefers."""
        self._turn += 1
        families: dict[int, list[Address]] = {}
        for one in self.found:
            families.setdefault(one[0], []).append(one)
        turned = [group[(by := self._turn % len(group)) :] + group[:by] for group in families.values()]
        ordered = [one for one in chain.from_iterable(zip_longest(*turned)) if one is not None]
        if self.failed:
            self.failed = {address: at for address, at in self.failed.items() if now - at < FAILED_ADDRESS_S}
            ordered.sort(key=lambda one: one[4] in self.failed)
        return ordered


def _lookup(host: str, port: int) -> Sequence[Address]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _literal_address(host: str, port: int) -> list[Address]:
    """Return the address that `host` itself is; none where `host` is a name."""
    try:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
    except (OSError, UnicodeError):
        return []

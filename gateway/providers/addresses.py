"""The addresses behind a name: looked up off the loop, kept for a while, used in turn.

`getaddrinfo` tells no time to live, so an answer is used for `KEEP_S`. It also can't be interrupted: each look-up has a thread of
its own, one for each name at a time, so that a name server that hangs holds up nobody who asks for another name. Where a new
look-up fails or is slow, the addresses of the last one serve on: a broken name server is no reason to stop.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from itertools import chain, zip_longest
from typing import Any, Final

KEEP_S: Final = 30.0  # an answer is used for so long
AGAIN_S: Final = 1.0  # after a look-up that failed, none for so long while there are old addresses
STALE_PATIENCE_S: Final = 0.5  # a new look-up is waited for so long while there are old addresses
FAILED_S: Final = 30.0  # an address that failed is tried last for so long

Address = tuple[int, int, int, str, tuple[Any, ...]]  # as `getaddrinfo` gives them
Lookup = Callable[[str, int], Sequence[Address]]


class Addresses:
    """The addresses of every name that is connected to. On one loop only."""

    def __init__(self, lookup: Lookup | None = None) -> None:
        self._lookup = lookup or _lookup
        self._names: dict[tuple[str, int], _Name] = {}

    async def of(self, host: str, port: int) -> list[Address]:
        """Give the addresses in the order in which they should be tried: each time another one first, failed ones last.

        Raises OSError where there are none. Waits for as long as the look-up takes: the caller has the clock.
        """
        name = self._names.get((host, port))
        if name is None:
            name = self._names[host, port] = _Name(_literal(host, port))
        loop = asyncio.get_running_loop()
        if name.is_due(loop.time()):
            running = name.running or self._start(name, host, port)
            await asyncio.wait((running,), timeout=STALE_PATIENCE_S if name.found else None)
        if not name.found:
            raise name.error or OSError("no address")
        return name.in_turn(loop.time())

    def note_failures(self, host: str, port: int, addresses: Collection[Address]) -> None:
        """Note which addresses could not be connected to."""
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

        # A daemon: a look-up that hangs must not hold up the end of the process.
        threading.Thread(target=look, name="look-up", daemon=True).start()
        return running


class _Name:
    """What is known of one name. `running` is done when the look-up under way has been settled."""

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
        """Take the outcome of a look-up."""
        self.running, self.error = None, error
        if found:
            self.found, self._due_at = list(found), now + KEEP_S
            known = {one[4] for one in found}
            self.failed = {address: at for address, at in self.failed.items() if address in known}
        else:
            self._due_at = now + AGAIN_S if self.found else 0.0

    def in_turn(self, now: float) -> list[Address]:
        """Give the addresses, those of one family in turn, the families alternating in the order that the system prefers."""
        self._turn += 1
        families: dict[int, list[Address]] = {}
        for one in self.found:
            families.setdefault(one[0], []).append(one)
        turned = [group[(by := self._turn % len(group)) :] + group[:by] for group in families.values()]
        ordered = [one for one in chain.from_iterable(zip_longest(*turned)) if one is not None]
        if self.failed:
            self.failed = {address: at for address, at in self.failed.items() if now - at < FAILED_S}
            ordered.sort(key=lambda one: one[4] in self.failed)
        return ordered


def _lookup(host: str, port: int) -> Sequence[Address]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _literal(host: str, port: int) -> list[Address]:
    """Give an address that stands for itself; none where `host` is a name."""
    try:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
    except (OSError, UnicodeError):
        return []

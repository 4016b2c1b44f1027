"""A worker accepts on the listeners that control names, and never more connections than it has descriptors for."""

import asyncio
import logging
import os
import resource
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from gateway.core.tasks import Tasks
from gateway.core.tls import server_context
from gateway.runtime import acceptors as acceptors_module
from gateway.runtime.acceptors import MIN_CONNECTIONS, Acceptor, Acceptors, ConnectionFactory, most_connections
from tests.support.certificates import FOLDER
from tests.support.processes import open_descriptors


class Guest(asyncio.Protocol):
    """Echoes; is in `here` while its connection lives."""

    def __init__(self, here: "list[Guest]") -> None:
        self._here = here
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._here.append(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._here.remove(self)

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


async def test_a_handshake_that_takes_too_long_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptors_module, "HANDSHAKE_S", 0.05)
    tasks, here = Tasks(), list[Guest]()
    listener = socket.create_server(("127.0.0.1", 0))
    context = server_context((FOLDER / "first.pem").read_text(), (FOLDER / "first.key").read_text())
    acceptors = Acceptors(
        [Acceptor(listener, context)], ConnectionFactory(lambda: Guest(here), lambda: len(here)), 3, tasks
    )
    await acceptors.open([0])
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    assert here == []
    writer.close()
    await acceptors.stop()
    await tasks.close()


class House:
    """Two doors, at most three guests."""

    def __init__(self) -> None:
        self.tasks = Tasks()
        self.here: list[Guest] = []
        self.listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.addresses = [one.getsockname() for one in self.listeners]
        connections = ConnectionFactory(lambda: Guest(self.here), lambda: len(self.here))
        self.acceptors = Acceptors([Acceptor(one.dup()) for one in self.listeners], connections, 3, self.tasks)
        self.clients: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def visit(self, acceptor: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect: the kernel lets everybody in up to the queue."""
        client = await asyncio.open_connection(*self.addresses[acceptor])
        self.clients.append(client)
        client[1].write(b"x")
        return client

    async def is_heard(self, client: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bool:
        async with asyncio.timeout(10):
            return await client[0].read(1) == b"x"

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not is_so():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def close(self) -> None:
        await self.acceptors.stop()
        for _, writer in self.clients:
            writer.close()
        await self.until(lambda: not self.here)
        await self.tasks.close()
        for one in self.listeners:
            one.close()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    one = House()
    yield one
    await one.close()


async def test_only_the_wanted_doors_are_open_and_who_waited_at_another_is_let_in_later(house: House) -> None:
    await house.acceptors.open([0])
    assert await house.is_heard(await house.visit(0))
    waiting = await house.visit(1)
    assert len(house.here) == 1
    await house.acceptors.open([1])
    assert await house.is_heard(waiting)
    late = await house.visit(0)
    assert await house.is_heard(await house.visit(1))
    assert len(house.here) == 3
    late[1].close()


async def test_a_full_house_lets_others_wait_and_says_so_once(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await house.acceptors.open([0])
    inside = [await house.visit(0) for _ in range(3)]
    for client in inside:
        assert await house.is_heard(client)
    await house.until(lambda: "no descriptors" in caplog.text)
    outside = await house.visit(0)
    await asyncio.sleep(0)
    assert len(house.here) == 3
    inside[0][1].close()
    inside[1][1].close()
    assert await house.is_heard(outside)
    messages = [record.message for record in caplog.records if "connections" in record.message]
    assert messages == ["no descriptors for more connections, they wait", "connections are taken again"]


async def test_opening_doors_of_a_full_house_waits_for_room(house: House) -> None:
    await house.acceptors.open([0])
    inside = [await house.visit(0) for _ in range(3)]
    for client in inside:
        assert await house.is_heard(client)
    await house.acceptors.open([0, 1])
    other = await house.visit(1)
    assert len(house.here) == 3
    inside[0][1].close()
    assert await house.is_heard(other)


async def test_after_a_stop_nothing_is_opened_and_no_listener_is_kept(house: House) -> None:
    before = open_descriptors(os.getpid())
    await house.acceptors.open([0, 1])
    await house.acceptors.stop()
    await house.acceptors.open([0, 1])
    assert open_descriptors(os.getpid()) == before - 2
    waiting = await house.visit(0)  # the test holds the listener still
    assert not house.here
    waiting[1].close()


async def test_moving_between_doors_leaks_no_descriptors(house: House) -> None:
    await house.acceptors.open([0])
    before = open_descriptors(os.getpid())
    for _ in range(20):
        await house.acceptors.open([0, 1])
        await house.acceptors.open([0])
    assert open_descriptors(os.getpid()) == before


@pytest.mark.parametrize(
    ("soft", "expected"), [(4096, 2016), (64, MIN_CONNECTIONS), (resource.RLIM_INFINITY, 2**19 - 32)]
)
def test_every_connection_leaves_room_for_one_to_a_provider(
    monkeypatch: pytest.MonkeyPatch, soft: int, expected: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (soft, soft))
    assert most_connections() == expected

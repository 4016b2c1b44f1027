"""Names and their addresses, with a scripted name server."""

import asyncio
import socket
import threading
from collections.abc import Sequence

import pytest

from gateway.providers.addresses import (
    CACHE_S,
    FAILED_ADDRESS_S,
    FAILED_LOOKUP_PAUSE_S,
    REFRESH_TIMEOUT_S,
    Address,
    Addresses,
)
from tests.support.loops import in_virtual_time


def v4(last: int, port: int = 80) -> Address:
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{last}", port))


def v6(last: int, port: int = 80) -> Address:
    return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (f"2001:db8::{last}", port, 0, 0))


class NameServer:
    """Answers at once, or holds an answer back until `go_on` is set."""

    def __init__(self, *found: Address) -> None:
        self.found: Sequence[Address] | BaseException = found
        self.asked: list[str] = []
        self.hangs: set[str] = set()
        self.go_on = threading.Event()

    def __call__(self, host: str, port: int) -> Sequence[Address]:
        self.asked.append(host)
        if host in self.hangs:
            self.go_on.wait(10)
        if isinstance(self.found, BaseException):
            raise self.found
        return self.found


async def answered(addresses: Addresses, host: str = "a.test") -> list[Address]:
    return await addresses.of(host, 80)


async def test_each_connection_begins_with_another_address_and_every_one_is_there() -> None:
    addresses = Addresses(NameServer(v4(1), v4(2), v4(3)))
    orders = [await answered(addresses) for _ in range(4)]
    assert [order[0] for order in orders] == [v4(1), v4(2), v4(3), v4(1)]
    assert all(sorted(order) == [v4(1), v4(2), v4(3)] for order in orders)


async def test_families_alternate_in_the_order_of_the_system() -> None:
    addresses = Addresses(NameServer(v6(1), v6(2), v4(1)))
    assert await answered(addresses) == [v6(1), v4(1), v6(2)]
    assert await answered(addresses) == [v6(2), v4(1), v6(1)]


@in_virtual_time
async def test_a_failed_address_is_tried_last_for_a_while() -> None:
    addresses = Addresses(NameServer(v4(1), v4(2)))
    await answered(addresses)
    addresses.record_failures("a.test", 80, [v4(2)])
    assert [(await answered(addresses))[0] for _ in range(4)] == [v4(1)] * 4
    await asyncio.sleep(FAILED_ADDRESS_S)
    assert {(await answered(addresses))[0] for _ in range(4)} == {v4(1), v4(2)}


@in_virtual_time
async def test_an_answer_is_kept_for_a_while_and_then_asked_for_again() -> None:
    server = NameServer(v4(1))
    addresses = Addresses(server)
    for _ in range(3):
        assert await answered(addresses) == [v4(1)]
    assert len(server.asked) == 1
    server.found = (v4(2),)
    await asyncio.sleep(CACHE_S)
    assert await answered(addresses) == [v4(2)], "an address that has gone is not tried"
    assert len(server.asked) == 2


@in_virtual_time
async def test_old_addresses_serve_while_the_name_server_fails_or_hangs() -> None:
    server = NameServer(v4(1))
    addresses = Addresses(server)
    await answered(addresses)
    await asyncio.sleep(CACHE_S)
    server.found = socket.gaierror(socket.EAI_AGAIN, "try again")
    assert [await answered(addresses) for _ in range(5)] == [[v4(1)]] * 5
    assert len(server.asked) == 2, "a name server that fails is left alone for a moment"
    await asyncio.sleep(FAILED_LOOKUP_PAUSE_S)
    server.hangs.add("a.test")
    began = asyncio.get_running_loop().time()
    assert await answered(addresses) == [v4(1)]
    assert asyncio.get_running_loop().time() - began == pytest.approx(REFRESH_TIMEOUT_S)
    server.go_on.set()


@pytest.mark.parametrize("error", [socket.gaierror(socket.EAI_NONAME, "unknown"), UnicodeError("label too long")])
async def test_a_name_without_an_address_is_an_error_and_asked_for_again(error: BaseException) -> None:
    server = NameServer()
    server.found = error
    addresses = Addresses(server)
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            await answered(addresses)
    server.found = (v4(1),)
    assert await answered(addresses) == [v4(1)]


async def test_an_empty_answer_is_an_error() -> None:
    with pytest.raises(OSError):
        await answered(Addresses(NameServer()))


async def test_names_that_hang_hold_up_no_other_name() -> None:
    server = NameServer(v4(1))
    names = [f"slow{number}.test" for number in range(40)]
    server.hangs.update(names)
    addresses = Addresses(server)
    waiting = [asyncio.ensure_future(answered(addresses, name)) for name in names]
    try:
        async with asyncio.timeout(5):
            assert await answered(addresses, "quick.test") == [v4(1)]
        assert not any(one.done() for one in waiting)
    finally:
        server.go_on.set()
    assert await asyncio.gather(*waiting) == [[v4(1)]] * 40


async def test_a_name_is_looked_up_once_for_all_who_wait_for_it() -> None:
    server = NameServer(v4(1))
    server.hangs.add("a.test")
    addresses = Addresses(server)
    waiting = [asyncio.ensure_future(answered(addresses)) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    server.go_on.set()
    assert await asyncio.gather(*waiting[1:]) == [[v4(1)]] * 19
    assert server.asked == ["a.test"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_an_address_is_its_own_name(host: str) -> None:
    server = NameServer()
    (found,) = await answered(Addresses(server), host)
    assert found[4][:2] == (host, 80)
    assert server.asked == []


async def test_names_that_nobody_needs_are_forgotten() -> None:
    server = NameServer(v4(1))
    addresses = Addresses(server)
    await answered(addresses, "a.test")
    await answered(addresses, "b.test")
    addresses.retain({("b.test", 80)})
    await answered(addresses, "a.test")
    await answered(addresses, "b.test")
    assert server.asked == ["a.test", "b.test", "a.test"]


def test_a_lookup_that_ends_behind_the_loop_is_forgotten() -> None:
    server = NameServer(v4(1))
    server.hangs.add("a.test")

    async def leave() -> None:
        asking = asyncio.ensure_future(answered(Addresses(server)))
        await asyncio.sleep(0)
        asking.cancel()

    asyncio.run(leave())
    server.go_on.set()
    for thread in threading.enumerate():
        if thread.name == "look-up":
            thread.join(5)

"""Which embedded servers can be asked, and how one waits for them."""

import asyncio

import pytest

from gateway.pools.managed_servers import ManagedServers


def test_a_provider_that_is_no_child_is_never_warming() -> None:
    managed_servers = ManagedServers()
    assert not managed_servers.is_warming("openai")
    assert (managed_servers.warming, managed_servers.down) == ([], [])


def test_states_are_reported_by_name() -> None:
    managed_servers = ManagedServers()
    for name, state in (("b", "warming"), ("a", "warming"), ("d", "down"), ("c", "down"), ("e", "up")):
        managed_servers.set_state(name, state)  # type: ignore[arg-type]
    assert (managed_servers.warming, managed_servers.down) == (["a", "b"], ["c", "d"])


def test_what_a_configuration_does_not_name_is_forgotten() -> None:
    managed_servers = ManagedServers()
    managed_servers.set_state("a", "warming")
    managed_servers.set_state("b", "down")
    managed_servers.retain({"b"})
    assert (managed_servers.warming, managed_servers.down) == ([], ["b"])


async def test_no_wait_for_a_server_that_does_not_warm_up() -> None:
    managed_servers = ManagedServers()
    managed_servers.set_state("down", "down")
    for name in ("unknown", "down"):
        await managed_servers.wait(name, 0.0)


@pytest.mark.parametrize("state", ["up", "down"])
async def test_waiting_ends_when_the_state_changes(state: str) -> None:
    managed_servers = ManagedServers()
    managed_servers.set_state("a", "warming")
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(managed_servers.wait("a", None)) for _ in range(3)]
        await asyncio.sleep(0)
        managed_servers.set_state("b", "up")  # another server
        await asyncio.sleep(0)
        assert not any(one.done() for one in waits)
        managed_servers.set_state("a", state)  # type: ignore[arg-type]


async def test_patience_ends() -> None:
    managed_servers = ManagedServers()
    managed_servers.set_state("a", "warming")
    for patience_s in (0.001, 0.0, -1.0):
        with pytest.raises(TimeoutError):
            await managed_servers.wait("a", patience_s)

"""Which embedded servers can be asked, and how one waits for them."""

import asyncio

import pytest

from gateway.pools.managed_servers import Children


def test_a_provider_that_is_no_child_is_never_warming() -> None:
    children = Children()
    assert not children.is_warming("openai")
    assert (children.warming, children.down) == ([], [])


def test_states_are_told_by_name() -> None:
    children = Children()
    for name, state in (("b", "warming"), ("a", "warming"), ("d", "down"), ("c", "down"), ("e", "up")):
        children.change(name, state)  # type: ignore[arg-type]
    assert (children.warming, children.down) == (["a", "b"], ["c", "d"])


def test_what_a_configuration_does_not_name_is_forgotten() -> None:
    children = Children()
    children.change("a", "warming")
    children.change("b", "down")
    children.retain({"b"})
    assert (children.warming, children.down) == ([], ["b"])


async def test_nobody_waits_for_what_does_not_warm_up() -> None:
    children = Children()
    children.change("down", "down")
    for name in ("unknown", "down"):
        await children.wait(name, 0.0)


@pytest.mark.parametrize("state", ["up", "down"])
async def test_waiting_ends_when_the_state_changes(state: str) -> None:
    children = Children()
    children.change("a", "warming")
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(children.wait("a", None)) for _ in range(3)]
        await asyncio.sleep(0)
        children.change("b", "up")  # somebody else
        await asyncio.sleep(0)
        assert not any(one.done() for one in waits)
        children.change("a", state)  # type: ignore[arg-type]


async def test_patience_ends() -> None:
    children = Children()
    children.change("a", "warming")
    for patience_s in (0.001, 0.0, -1.0):
        with pytest.raises(TimeoutError):
            await children.wait("a", patience_s)

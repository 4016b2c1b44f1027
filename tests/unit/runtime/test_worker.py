"""A real worker process answers every question of control, in whatever order they overlap."""

import asyncio
import os
from collections.abc import AsyncIterator
from itertools import permutations

import pytest

from gateway.runtime import bus, messages
from gateway.runtime.config_version import ConfigVersion
from gateway.runtime.launch import launch_worker, make_lifeline
from tests.support.compiling import ENV, TEXT
from tests.support.replay import load_config

CAPPED = TEXT.replace("strong: {members: [gone, a-1, a-2],", "strong: {members: [a-1, a-2], max_inflight: 10,")


class Control:
    """Control's side of the bus to one worker."""

    def __init__(self, link: bus.Link) -> None:
        self.link = link
        self._decoder = bus.to_control_decoder()

    async def receive(self, count: int) -> list[messages.ToControl]:
        """Return the next `count` messages that are no life signs, and no metrics without a question."""
        received: list[messages.ToControl] = []
        while len(received) < count:
            message = await self.link.receive(self._decoder)
            assert message is not None
            if not isinstance(message, messages.LifeSign | messages.Metrics):
                received.append(message)
        return received


def version(generation: int, text: str = TEXT) -> ConfigVersion:
    return ConfigVersion.of(generation, load_config(text, ENV).spec, {})


def prepare(generation: int, id: int) -> messages.Prepare:
    return messages.Prepare(generation, version(generation).encoded, {}, id)


@pytest.fixture
async def control() -> AsyncIterator[Control]:
    lifeline = make_lifeline()
    launched = launch_worker(lifeline)
    bus.send_listeners(launched.bus, [])
    link = await bus.Link.open(launched.bus)
    first = version(1, CAPPED)
    link.send(messages.Start(2, 4, 1, first.encoded, {}, {}, (), ()))
    control = Control(link)
    async with asyncio.timeout(50):
        assert await control.receive(1) == [messages.Ready(1)]
        yield control
    link.send(messages.Stop(0.0, 0.0))
    assert await asyncio.get_running_loop().run_in_executor(None, launched.process.wait, 10) == 0
    await link.finish()
    os.close(lifeline.read_fd)
    os.close(lifeline.write_fd)


async def test_a_worker_answers_health_while_it_compiles(control: Control) -> None:
    for message in (prepare(2, 1), messages.Activate(2, 2), messages.AskHealth(3)):
        control.link.send(message)
    health, *changes = await control.receive(3)
    assert isinstance(health, messages.Health)
    assert changes == [messages.Prepared(1, ""), messages.Activated(2, 2)]


async def test_a_worker_takes_its_share_of_the_limits_from_the_number_of_its_siblings(control: Control) -> None:
    control.link.send(messages.AskEndpoints(1))
    (answer,) = await control.receive(1)
    assert isinstance(answer, messages.Endpoints)
    assert {pool.pool: pool.max_inflight for pool in answer.pools}["strong"] == 3


async def test_every_order_of_questions_is_answered(control: Control) -> None:
    active = 1
    for generation, order in enumerate(permutations(("prepare", "activate", "discard", "health")), 2):
        questions = {
            "prepare": prepare(generation, 1),
            "activate": messages.Activate(generation, 2),
            "discard": messages.Discard(generation),
            "health": messages.AskHealth(3),
        }
        for name in order:
            control.link.send(questions[name])
        answers = {type(answer): answer for answer in await control.receive(3)}
        after_prepare = [name for name in order[order.index("prepare") :] if name != "health"]
        if after_prepare[:2] == ["prepare", "activate"]:
            active = generation
        assert answers[messages.Prepared] == messages.Prepared(1, "")
        assert answers[messages.Activated] == messages.Activated(2, active), order
        assert messages.Health in answers

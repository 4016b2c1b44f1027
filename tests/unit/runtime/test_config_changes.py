"""Prepare, Activate and Discard take effect in their order, and every question is answered, however they overlap."""

import asyncio
from collections.abc import Sequence
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.core.problem import ConfigError, Place, Problem
from gateway.runtime.config_changes import ConfigChanges
from gateway.runtime.messages import Activate, Activated, Discard, Prepare, Prepared

Message = Prepare | Activate | Discard


class Worker:
    """Configuration changes under test, beside a compiler that yields to the loop. Generations from 100 do not compile."""

    def __init__(self) -> None:
        self.answers: list[Prepared | Activated] = []
        self.activated: list[int] = []
        self.compiling = 0
        self.changes = ConfigChanges(self.compile, self.activate, self.answers.append, 1)

    def compile(self, encoded: bytes, generation: int, addresses: dict[str, str]) -> "asyncio.Future[Any]":
        return asyncio.ensure_future(self._compile(generation))

    async def _compile(self, generation: int) -> Any:
        self.compiling += 1
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.compiling -= 1
        if generation >= 200:
            raise KeyError(generation)
        if generation >= 100:
            raise ConfigError([Problem(Place(), "", "no such model")])
        return SimpleNamespace(generation=generation)

    def activate(self, snapshot: Any) -> None:
        assert not self.compiling  # the two work on the same live endpoints
        self.activated.append(snapshot.generation)

    async def run(self, messages: Sequence[Message]) -> None:
        running = asyncio.ensure_future(self.changes.run())
        for message in messages:
            self.changes.handle(message)
            await asyncio.sleep(0)
        expected = sum(not isinstance(message, Discard) for message in messages)
        async with asyncio.timeout(5):
            while len(self.answers) < expected or self.compiling:  # noqa: ASYNC110
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        running.cancel()


def message(kind: str, generation: int, id: int) -> Message:
    match kind:
        case "prepare":
            return Prepare(generation, b"", {}, id)
        case "activate":
            return Activate(generation, id)
        case _:
            return Discard(generation)


def expected_of(messages: Sequence[Message]) -> tuple[list[Prepared | Activated], list[int]]:
    """Return the answers and the activated generations where each message is handled before the next one is sent."""
    answers: list[Prepared | Activated] = []
    activated, in_force, prepared = [], 1, 0
    for one in messages:
        match one:
            case Prepare():
                prepared = one.generation
                answers.append(Prepared(one.id, ""))
            case Activate():
                if one.generation == prepared:
                    in_force, prepared = prepared, 0
                    activated.append(in_force)
                answers.append(Activated(one.id, in_force))
            case Discard():
                prepared = 0 if one.generation == prepared else prepared
    return answers, activated


KINDS = [(kind, generation) for kind in ("prepare", "activate", "discard") for generation in (2, 3)]


async def test_any_overlap_of_two_reloads_is_answered_in_full_and_in_order() -> None:
    for sequence in product(KINDS, repeat=4):
        messages = [message(kind, generation, id) for id, (kind, generation) in enumerate(sequence, 1)]
        worker = Worker()
        await worker.run(messages)
        assert (worker.answers, worker.activated) == expected_of(messages), sequence


@pytest.mark.parametrize(
    ("generation", "problem"), [(100, "no such model"), (200, "KeyError while compiling")], ids=["refused", "broken"]
)
async def test_a_configuration_that_does_not_compile_leaves_the_prepared_one(generation: int, problem: str) -> None:
    worker = Worker()
    await worker.run([Prepare(2, b"", {}, 1), Prepare(generation, b"", {}, 2), Activate(generation, 3), Activate(2, 4)])
    assert worker.answers == [Prepared(1, ""), Prepared(2, problem), Activated(3, 1), Activated(4, 2)]

"""Recorded streams of a provider, relayed to a client in pieces of any size."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from gateway.core.errors import GatewayError
from gateway.core.exchange import Meter
from gateway.core.usage import Usage
from gateway.streaming.relay import EventStream
from tests.support.streams import FakeReply, FakeSource


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the client received, the error that the relay raised, and the metered usage."""

    sent: bytes
    failure: GatewayError | None
    usage: Usage | None


async def relayed(source: FakeSource, stream: EventStream, meter: Meter, parts: list[bytes]) -> Outcome:
    """Return the outcome of a provider's bytes, which arrive in `parts`."""
    reply, begun = FakeReply(), False
    for part in parts:
        source.send(part)
        if not begun and stream._content.done() and stream._content.exception() is None:
            pumping = asyncio.ensure_future(stream.pump(reply, None))
            begun = True
            await asyncio.sleep(0)
    source.end()
    try:
        if begun:
            await pumping
        else:
            await stream.until_content()
    except GatewayError as failure:
        return Outcome(reply.sent, failure, meter.usage)
    return Outcome(reply.sent, None, meter.usage)


def pieces(stream: bytes, size: int) -> list[bytes]:
    """Return a stream cut into pieces of `size` bytes."""
    return [stream[start : start + size] for start in range(0, len(stream), size)]


def assert_described(folder: Path, names: Collection[str]) -> None:
    """Assert that a folder holds exactly the streams `names`, and that its page describes each of them."""
    assert {path.name for path in folder.glob("*.sse")} == set(names)
    page = (folder / "README.md").read_text()
    assert all(f"`{name}`" in page for name in names)

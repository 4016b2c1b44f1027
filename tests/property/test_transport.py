"""Whatever providers and clients do, no byte of one answer is found in another."""

import asyncio
from typing import Literal

import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.errors import UpstreamError
from gateway.providers.transport import Origin, Transport
from gateway.resilience.timeouts import Timeouts
from tests.support.upstream import CollectingSink, Peer, body_of, call, chunked, ok, upstream

Deed = Literal["plain", "chunked", "slow", "close", "reset", "cut", "surplus", "garbage", "late", "mute"]
DEEDS: tuple[Deed, ...] = (
    "plain",
    "plain",
    "chunked",
    "slow",
    "close",
    "reset",
    "cut",
    "surplus",
    "garbage",
    "late",
    "mute",
)
GOOD = ("plain", "chunked", "slow", "close", "surplus", "late")

plans = st.lists(
    st.tuples(
        st.sampled_from(DEEDS),
        st.sampled_from(["stays", "stays", "stays", "leaves while asking", "leaves while reading", "pauses"]),
        st.integers(0, 6),
    ),
    min_size=1,
    max_size=12,
)


async def provide(peer: Peer) -> None:
    """Do what the request asks for; every answer is made of the request's own number."""
    while True:
        deed, number = (await peer.request()).decode().split()
        own = f"[{number}]".encode() * 40
        match deed:
            case "plain":
                await peer.send(ok(own))
            case "chunked":
                await peer.send(chunked(own[:50], own[50:]))
            case "slow":
                answer = chunked(own[:50], own[50:])
                for start in range(0, len(answer), 60):
                    await peer.send(answer[start : start + 60])
                    await asyncio.sleep(0)
            case "close":
                await peer.send(ok(own))
                return
            case "reset":
                await peer.send(ok(own)[:-9])
                peer.reset()
                return
            case "cut":
                await peer.send(chunked(own, last=b""))
                return
            case "surplus":
                await peer.send(ok(own) + ok(b"surplus of " + own))
            case "garbage":
                await peer.send(b"\x00\x01 garbage\r\n\r\n")
            case "late":
                await peer.send(ok(own))
                await asyncio.sleep(0)
                await peer.send(b"late bytes of " + own)
                return
            case _:  # the client has to give up
                await peer.closed()


async def request(transport: Transport, origin: Origin, number: int, step: tuple[Deed, str, int]) -> None:
    """Ask, and stay or leave. What was done to others on the same connection must not be felt."""
    deed, departure, turns = step
    for _ in range(turns):
        await asyncio.sleep(0)
    timeouts = Timeouts(answer_s=0.02 if deed == "mute" else 5.0)
    asked = call(origin, f"{deed} {number}".encode(), timeouts=timeouts)
    own = f"[{number}]".encode() * 40
    try:
        if departure == "leaves while asking":
            asking = asyncio.ensure_future(transport.send(asked))
            for _ in range(turns):
                await asyncio.sleep(0)
            if not asking.done():
                asking.cancel()
            try:
                (await asking).close()
            except asyncio.CancelledError:
                return
            return
        answer = await transport.send(asked)
        if departure == "leaves while reading":
            sink = CollectingSink()
            answer.attach(sink)
            answer.close()
            assert own.startswith(sink.data)
        elif departure == "pauses":
            answer.pause()
            for _ in range(turns):
                await asyncio.sleep(0)
            answer.resume()
            assert await body_of(answer) == own
        else:
            assert await body_of(answer) == own
            assert deed not in ("reset", "cut", "garbage", "mute")
    except UpstreamError:
        assert deed not in GOOD, "a request that nobody harmed fails for no reason"


async def play(plan: list[tuple[Deed, str, int]], is_in_turn: bool) -> None:
    transport = Transport()
    async with upstream(provide) as served:
        requests = [request(transport, served.origin, number, step) for number, step in enumerate(plan)]
        if is_in_turn:
            for one in requests:
                await one
        else:
            await asyncio.gather(*requests)
        transport.close()


@settings(max_examples=60, deadline=None)
@given(plans, st.booleans(), st.sampled_from([asyncio.SelectorEventLoop, uvloop.new_event_loop]))
def test_no_answer_reaches_another_request(
    plan: list[tuple[Deed, str, int]], is_in_turn: bool, new_loop: type[asyncio.SelectorEventLoop]
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(play(plan, is_in_turn))

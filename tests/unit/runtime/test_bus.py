"""Frames on the bus arrive whole, in order, or not at all."""

import asyncio
import os
import socket
import struct
from collections.abc import Iterator

import pytest
from msgspec.msgpack import Encoder
from msgspec.structs import replace

from gateway.runtime import bus, messages


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with left, right:
        yield left, right


MESSAGES = [
    messages.Prepare(2, b"\x00spec", {"local": "unix:/run/a.sock"}, 7),
    messages.Activate(2, 8),
    messages.Discard(2),
    messages.AskMetrics(9),
    messages.AskHealth(10),
    messages.AskEndpoints(11),
    messages.Drain(("web", "own/tiny#1"), ("own",), 12),
    messages.ChildState("local", "up"),
    messages.EndpointEvent("0123abcd", "opened", 29.5),
    messages.Stop(0.5, 30.0),
]


async def test_messages_arrive_as_they_were_sent_and_in_order(ends: tuple[socket.socket, socket.socket]) -> None:
    sender, receiver = await bus.Link.open(ends[0]), await bus.Link.open(ends[1])
    for message in MESSAGES:
        sender.send(message)
    decoder = bus.to_worker_decoder()
    assert [await receiver.receive(decoder) for _ in MESSAGES] == MESSAGES
    sender.close()
    receiver.close()


async def test_answers_come_back_with_their_id(ends: tuple[socket.socket, socket.socket]) -> None:
    control, worker = await bus.Link.open(ends[0]), await bus.Link.open(ends[1])
    mean = messages.Mean(0.25, 3.5)
    endpoint = messages.EndpointStatus(
        "a/b", "a", "b", ("p",), "open", 1.5, 2, mean, messages.Mean(), mean, True, False, True, 0.5
    )
    answers = (
        messages.Health(4, {"a/b": "half_open"}, 12, {"a/b": "drained"}),
        messages.Endpoints(5, (endpoint,), (messages.PoolStatus("p", 1, 0, None),)),
        messages.Drained(6),
        messages.Activated(7, 3),
        messages.EndpointEvent("0123abcd", "key_refused", 300.0),
    )
    for answer in answers:
        worker.send(answer)
        assert await control.receive(bus.to_control_decoder()) == answer
    control.close()
    worker.close()


async def test_a_frame_cut_anywhere_is_still_one_message(ends: tuple[socket.socket, socket.socket]) -> None:
    receiver = await bus.Link.open(ends[1])
    frame = bus._frame(bus.Encoder().encode(messages.ChildState("local", "down")))
    receiving = asyncio.gather(receiver.receive(bus.to_worker_decoder()))
    for byte in frame:
        ends[0].send(bytes([byte]))
        await asyncio.sleep(0)
    assert await receiving == [messages.ChildState("local", "down")]
    receiver.close()


@pytest.mark.parametrize("sent", [b"", b"\x00", b"\x00\x00\x00\x10half"])
async def test_the_end_of_the_peer_is_none_even_within_a_frame(
    ends: tuple[socket.socket, socket.socket], sent: bytes
) -> None:
    receiver = await bus.Link.open(ends[1])
    ends[0].send(sent)
    ends[0].close()
    assert await receiver.receive(bus.to_worker_decoder()) is None
    receiver.close()


@pytest.mark.parametrize(
    "sent",
    [
        struct.pack(">I", bus.MAX_FRAME_BYTES + 1),
        struct.pack(">I", 3) + b"\xc1\xc1\xc1",
        bus._frame(bus.Encoder().encode({"type": "reboot"})),
        bus._frame(bus.Encoder().encode(messages.LifeSign())),
    ],
    ids=["too long", "no msgpack", "no such message", "of the other direction"],
)
async def test_what_is_no_frame_is_an_error(ends: tuple[socket.socket, socket.socket], sent: bytes) -> None:
    receiver = await bus.Link.open(ends[1])
    ends[0].send(sent)
    with pytest.raises(bus.BusError):
        await receiver.receive(bus.to_worker_decoder())
    receiver.close()


async def test_a_message_to_a_peer_that_is_gone_is_dropped(ends: tuple[socket.socket, socket.socket]) -> None:
    sender = await bus.Link.open(ends[0])
    ends[1].close()
    assert await sender.receive(bus.to_control_decoder()) is None
    await sender.finish()
    sender.send(messages.LifeSign())


async def test_finishing_sends_what_was_queued(ends: tuple[socket.socket, socket.socket]) -> None:
    sender, receiver = await bus.Link.open(ends[0]), await bus.Link.open(ends[1])
    large = messages.Metrics(1, b"x" * 2_000_000)
    sender.send(large)
    receiving = asyncio.gather(receiver.receive(bus.to_control_decoder()))
    await sender.finish()
    assert await receiving == [large]
    receiver.close()


async def test_the_start_hands_over_working_listeners(ends: tuple[socket.socket, socket.socket]) -> None:
    start = messages.Start(2, 4, 1, b"spec" * 100_000, {"local": "unix:/x"}, {"local": "warming"}, (0,), (0,))
    start = replace(start, drained=("web",), events=(messages.EndpointEvent("0123abcd", "opened", 12.5),))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        bus.send_listeners(ends[0], [listener])
    control = await bus.Link.open(ends[0])
    receiving = asyncio.get_running_loop().run_in_executor(None, bus.receive_start, ends[1])
    control.send(start)
    received = await receiving
    assert received is not None
    assert received[0] == start
    with received[1][0] as inherited:
        assert inherited.getsockname() == address
        assert not os.get_inheritable(inherited.fileno())
        with socket.create_connection(address):
            inherited.accept()[0].close()
    control.close()


def test_more_listeners_than_one_message_carries_arrive_in_order(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus, "MAX_FDS_PER_MESSAGE", 2)
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(5)]
    names = [listener.getsockname() for listener in listeners]
    bus.send_listeners(ends[0], listeners)
    for listener in listeners:
        listener.close()
    start = messages.Start(1, 2, 1, b"", {}, {}, (0,) * 5, (0, 1))
    body = Encoder().encode(start)
    ends[0].send(struct.pack(">I", len(body)) + body)
    received = bus.receive_start(ends[1])
    assert received is not None
    assert received[0] == start
    assert [one.getsockname() for one in received[1]] == names
    for one in received[1]:
        one.close()


@pytest.mark.parametrize("said", [b"", struct.pack(">I", 0), struct.pack(">II", 0, 100) + b"half"])
def test_control_that_is_gone_before_the_start_gives_none(
    ends: tuple[socket.socket, socket.socket], said: bytes
) -> None:
    ends[0].send(said)
    ends[0].close()
    assert bus.receive_start(ends[1]) is None

"""What systemd is told, datagram by datagram."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.runtime.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """The other side: a socket, and its address as the environment names it."""
    name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.bind(name if request.param == "path" else f"\0{name}")
        one.setblocking(False)
        yield one, name if request.param == "path" else f"@{name}"


def heard(one: socket.socket) -> list[str]:
    found = []
    try:
        while True:
            found.append(one.recv(4096).decode())
    except BlockingIOError:
        return found


def test_a_life_is_told_in_order(manager: tuple[socket.socket, str]) -> None:
    notifier = Notifier(manager[1])
    notifier.ready("serves")
    notifier.reloading(12.345678)
    notifier.reloaded("serves anew")
    notifier.alive()
    notifier.stopping()
    assert heard(manager[0]) == [
        "READY=1\nSTATUS=serves",
        "RELOADING=1\nMONOTONIC_USEC=12345678\nSTATUS=reloading",
        "READY=1\nSTATUS=serves anew",
        "WATCHDOG=1",
        "STOPPING=1\nSTATUS=stopping",
    ]


def test_of_reloads_that_overlap_only_the_last_makes_it_ready(manager: tuple[socket.socket, str]) -> None:
    notifier = Notifier(manager[1])
    notifier.reloading(1.0)
    notifier.reloading(2.0)
    notifier.reloaded("first")
    assert [one.split("\n")[0] for one in heard(manager[0])] == ["RELOADING=1", "RELOADING=1"]
    notifier.reloaded("second")
    assert heard(manager[0]) == ["READY=1\nSTATUS=second"]


def test_a_reload_that_ends_during_the_stop_does_not_make_it_ready(manager: tuple[socket.socket, str]) -> None:
    notifier = Notifier(manager[1])
    notifier.reloading(1.0)
    notifier.stopping()
    notifier.reloaded("late")
    assert not any("READY=1" in one.split("\n") for one in heard(manager[0]))


@pytest.mark.parametrize("address", ["", "/nowhere/notify", "@nobody-listens-here", "/" + "x" * 200])
def test_nobody_who_listens_is_no_fault(address: str) -> None:
    Notifier(address).ready("serves")


def test_the_environment_is_taken_and_not_left_to_children() -> None:
    env = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "42", "PATH": "/bin"}
    assert Notifier.take(env, 42).watchdog_s == 3.0
    assert env == {"PATH": "/bin"}


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"}, None),  # somebody else's
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_ours_or_none(env: dict[str, str], expected: float | None) -> None:
    assert Notifier.take(env, 42).watchdog_s == expected

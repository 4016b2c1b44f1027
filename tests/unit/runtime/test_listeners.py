"""Addresses are bound all or none, and a stale socket file is no obstacle."""

import grp
import os
import pwd
import socket
import stat
from pathlib import Path

import pytest

from gateway.config.spec import Listen
from gateway.runtime.listeners import (
    SEND_BUFFER_BYTES,
    ListenError,
    address_of,
    close_all,
    listen_on,
    named,
    open_private,
)

LOOPBACK = Listen("127.0.0.1", 0)


def test_accepted_sockets_inherit_a_bounded_send_buffer() -> None:
    (listener,) = listen_on([LOOPBACK])
    with listener, socket.create_connection(listener.getsockname()):
        listener.setblocking(True)
        accepted, _ = listener.accept()
        with accepted:
            # The kernel books twice what is asked for.
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * SEND_BUFFER_BYTES


def test_an_address_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = rf"^127.0.0.1:{port}: address already in use by \S+ \(pid {os.getpid()}\)$"
        with pytest.raises(ListenError, match=said):
            listen_on([Listen("127.0.0.1", port)])


def test_the_setting_is_named() -> None:
    with (
        pytest.raises(ListenError, match=r"^server\.listen: no\.such\.host\.invalid:1: no such host"),
        named("server.listen"),
    ):
        listen_on([Listen("no.such.host.invalid", 1)])


def test_one_bad_address_closes_the_good_ones(tmp_path: Path) -> None:
    good = tmp_path / "good.sock"
    (tmp_path / "file").write_text("")
    with pytest.raises(ListenError, match="exists already, and is not a socket"):
        listen_on([Listen(path=str(good)), Listen(path=str(tmp_path / "file"))])
    with socket.socket(socket.AF_UNIX) as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(str(good))


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    place = Listen(path=str(tmp_path / "gateway.sock"))
    (stale,) = listen_on([place])
    stale.close()
    (fresh,) = listen_on([place])
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(place.path)
    close_all([fresh])
    assert not Path(place.path).exists()


def test_a_socket_that_answers_is_left_alone(tmp_path: Path) -> None:
    place = Listen(path=str(tmp_path / "gateway.sock"))
    (first,) = listen_on([place])
    with first, pytest.raises(ListenError, match="address already in use"):
        listen_on([place])
    assert Path(place.path).exists()


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(ListenError, match=r"^nowhere\.invalid:80: no such host"):
        listen_on([Listen("nowhere.invalid", 80)])


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ListenError, match="no such file or directory"):
        listen_on([Listen(path=str(tmp_path / "missing" / "gateway.sock"))])


@pytest.mark.parametrize("mode", [0o600, 0o666, 0o000])
def test_a_socket_file_has_its_mode_whatever_the_umask(mode: int, tmp_path: Path) -> None:
    (one,) = listen_on([Listen(path=str(tmp_path / "g.sock"), mode=mode)])
    with one:
        assert stat.S_IMODE((tmp_path / "g.sock").stat().st_mode) == mode


@pytest.mark.parametrize("owner", ["{user}", "{user}:{group}", ":{group}", "{uid}:{gid}"])
def test_a_socket_file_is_given_to_its_owner_by_name_or_number(owner: str, tmp_path: Path) -> None:
    uid, gid = os.geteuid(), os.getegid()
    names = {"user": pwd.getpwuid(uid).pw_name, "group": grp.getgrgid(gid).gr_name, "uid": uid, "gid": gid}
    (one,) = listen_on([Listen(path=str(tmp_path / "g.sock"), owner=owner.format(**names))])
    with one:
        found = (tmp_path / "g.sock").stat()
        assert (found.st_uid, found.st_gid) == (uid, gid)


def test_nobody_can_connect_before_owner_and_mode_are_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "g.sock"
    seen = []

    def look(*_: object) -> None:
        with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
            client.connect(str(place))
        seen.append(stat.S_IMODE(place.stat().st_mode))

    monkeypatch.setattr(os, "chown", look)
    (one,) = listen_on([Listen(path=str(place), mode=0o640, owner="0:0")])
    with one:
        assert len(seen) == 1 and stat.S_IMODE(place.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("owner", "missing"), [("nobody-here-7", "user 'nobody-here-7'"), (":none-7", "group 'none-7'")]
)
def test_an_owner_that_is_not_there_is_named_and_nothing_is_left(owner: str, missing: str, tmp_path: Path) -> None:
    with pytest.raises(ListenError, match=f"^unix:{tmp_path}/g.sock: there is no {missing} on this machine$"):
        listen_on([Listen(path=str(tmp_path / "g.sock"), owner=owner)])
    assert not (tmp_path / "g.sock").exists()


def test_a_refused_change_of_owner_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(ListenError, match="operation not permitted"):
        listen_on([Listen(path=str(tmp_path / "g.sock"), owner="0")])
    assert not (tmp_path / "g.sock").exists()


def test_both_families_listen_on_one_port_side_by_side() -> None:
    (six,) = listen_on([Listen("::", 0)])
    with six:
        (four,) = listen_on([Listen("0.0.0.0", six.getsockname()[1])])
        with four:
            assert (six.family, four.family) == (socket.AF_INET6, socket.AF_INET)


def test_a_private_socket_is_for_its_user_only(tmp_path: Path) -> None:
    before = os.umask(0o022)
    os.umask(before)
    one = open_private(tmp_path / "control.sock")
    with one:
        assert stat.S_IMODE((tmp_path / "control.sock").stat().st_mode) == 0o600
    after = os.umask(before)
    assert after == before


def test_the_address_is_written_as_in_the_configuration(tmp_path: Path) -> None:
    (tcp,) = listen_on([LOOPBACK])
    (unix,) = listen_on([Listen(path=str(tmp_path / "a.sock"))])
    with tcp, unix:
        assert address_of(tcp) == f"127.0.0.1:{tcp.getsockname()[1]}"
        assert address_of(unix) == f"unix:{tmp_path}/a.sock"

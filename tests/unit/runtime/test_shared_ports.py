"""For each TCP address one socket a worker on one port; a Unix socket is everybody's."""

import socket
from pathlib import Path

import pytest

from gateway.config.spec import Listen
from gateway.runtime.listeners import ListenError
from gateway.runtime.shared_ports import open_data_sockets

LOOPBACK = Listen("127.0.0.1", 0)


def test_every_worker_has_a_socket_of_its_own_on_the_same_port() -> None:
    data = open_data_sockets([LOOPBACK, LOOPBACK], 3)
    try:
        assert data.by_worker == ((0, 3), (1, 4), (2, 5))
        assert data.entries == (0, 0, 0, 1, 1, 1)
        assert len({one.getsockname() for one in data.sockets[:3]}) == 1
        assert len(data.addresses) == 2
    finally:
        data.close()


def test_connections_are_dealt_out_to_all() -> None:
    data = open_data_sockets([LOOPBACK], 2)
    clients = [socket.create_connection(data.sockets[0].getsockname()) for _ in range(200)]
    try:
        counts = [0, 0]
        for worker, one in enumerate(data.sockets):
            try:
                while True:
                    one.accept()[0].close()
                    counts[worker] += 1
            except BlockingIOError:
                pass
        assert sum(counts) == 200
        assert min(counts) > 50
    finally:
        for client in clients:
            client.close()
        data.close()


def test_a_unix_socket_is_shared(tmp_path: Path) -> None:
    data = open_data_sockets([Listen(path=str(tmp_path / "g.sock")), LOOPBACK], 2)
    try:
        assert data.by_worker == ((0, 1), (0, 2))
        assert data.entries == (0, 1, 1)
    finally:
        data.close()
    assert not (tmp_path / "g.sock").exists()


def test_one_worker_shares_nothing_so_that_nobody_can_join_in() -> None:
    data = open_data_sockets([LOOPBACK], 1)
    try:
        (one,) = data.sockets
        assert not one.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
    finally:
        data.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_gateway_does_not_get_a_share_of_the_port(workers: int) -> None:
    first = open_data_sockets([LOOPBACK], 2)
    port = first.sockets[0].getsockname()[1]
    try:
        with pytest.raises(ListenError, match=f"127.0.0.1:{port}: address already in use by "):
            open_data_sockets([Listen("127.0.0.1", port)], workers)
    finally:
        first.close()


def test_all_or_none(tmp_path: Path) -> None:
    place = tmp_path / "g.sock"
    with pytest.raises(ListenError, match="no such host"):
        open_data_sockets([Listen(path=str(place)), Listen("nowhere.invalid", 80)], 2)
    with socket.socket(socket.AF_UNIX) as probe, pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        probe.connect(str(place))

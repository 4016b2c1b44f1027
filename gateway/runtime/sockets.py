"""All listening sockets of one gateway, bound by control before a process serves them."""

import logging
import socket
from dataclasses import dataclass
from pathlib import Path

from gateway.config.spec import ServerSpec
from gateway.runtime.control_socket import open_control_socket
from gateway.runtime.listeners import ListenError, close_all, listen_on, named
from gateway.runtime.shared_ports import DataSockets, open_data_sockets

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sockets:
    """All listening sockets. A context manager: closes them at its end."""

    data: DataSockets
    admin: list[socket.socket]
    control: list[socket.socket]  # for the command line; empty if no path works

    @classmethod
    def bind(cls, config_path: Path, server: ServerSpec, workers: int) -> "Sockets":
        """Bind everything, the public listeners for this number of workers. Raise ListenError and bind nothing if one fails."""
        with named("server.listen"):
            data = open_data_sockets(server.listen, workers)
        try:
            with named("server.admin.listen"):
                admin = listen_on([server.admin.listen])
            return cls(data, admin, _control_socket(config_path))
        except ListenError:
            data.close()
            raise

    def __enter__(self) -> "Sockets":
        return self

    def __exit__(self, *_: object) -> None:
        self.data.close()
        close_all([*self.admin, *self.control])


def _control_socket(config_path: Path) -> list[socket.socket]:
    try:
        return [open_control_socket(config_path)]
    except ListenError as error:
        log.warning("`gateway reload` will not find this gateway", extra={"reason": str(error)})
        return []

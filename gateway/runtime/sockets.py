"""All sockets of one gateway, bound by control before anybody serves them."""

import logging
import socket
from dataclasses import dataclass
from pathlib import Path

from gateway.config.spec import ServerSpec
from gateway.runtime.control_socket import open_control_socket
from gateway.runtime.listeners import ListenError, close_all, listen_on

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sockets:
    """All that the gateway listens on. A context: closes them at its end."""

    data: list[socket.socket]
    admin: list[socket.socket]
    control: list[socket.socket]  # for the command line; empty where there is no place for it

    @classmethod
    def bind(cls, config_path: Path, server: ServerSpec) -> "Sockets":
        """Bind everything, or raise ListenError and bind nothing."""
        data = listen_on(server.listen)
        try:
            return cls(data, listen_on([server.admin.listen]), _control_socket(config_path))
        except ListenError:
            close_all(data)
            raise

    def __enter__(self) -> "Sockets":
        return self

    def __exit__(self, *_: object) -> None:
        close_all([*self.data, *self.admin, *self.control])


def _control_socket(config_path: Path) -> list[socket.socket]:
    try:
        return [open_control_socket(config_path)]
    except ListenError as error:
        log.warning("`gateway reload` will not find this gateway", extra={"reason": str(error)})
        return []

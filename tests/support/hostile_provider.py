"""A provider that sends whatever bytes it was told, for each model its own: for tests against a gateway as a process."""

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, Literal, Self

End = Literal["keep", "close", "reset", "stall"]


@dataclass(frozen=True, slots=True)
class HostileReply:
    """Bytes to send, each piece after `pause_s`, and what becomes of the connection. `again`: the last piece is sent for ever."""

    pieces: tuple[bytes, ...]
    end: End = "keep"
    pause_s: float = 0.0
    again: bool = False


class HostileProvider:
    """Listens on the loopback; what it does for a model is `deed(model)`. A context: closes everything."""

    def __init__(self, deed: Callable[[str], HostileReply], context: ssl.SSLContext | None = None) -> None:
        self._deed = deed
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.requests: dict[str, int] = {}  # by model
        self.heads: list[bytes] = []
        self.connections = 0

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for one in self._open:
                _shut(one)

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
                self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as reader:
                while (model := self._read(reader)) is not None and self._act(connection, self._deed(model)):
                    pass
        except (OSError, ValueError):  # the gateway hung up
            pass
        finally:
            with self._lock:
                self._open.discard(connection)

    def _read(self, reader: BinaryIO) -> str | None:
        head, length = b"", 0
        while (line := reader.readline()) not in (b"\r\n", b""):
            head += line
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if not line:
            return None
        model = str(json.loads(reader.read(length))["model"])
        with self._lock:
            self.heads = [*self.heads[-9:], head]
            self.requests[model] = self.requests.get(model, 0) + 1
        return model

    def _act(self, connection: socket.socket, deed: HostileReply) -> bool:
        """Do a deed; give whether the connection goes on."""
        for piece in deed.pieces:
            if deed.pause_s:
                self._over.wait(deed.pause_s)
            connection.sendall(piece)
        while deed.again and not self._over.wait(deed.pause_s):
            connection.sendall(deed.pieces[-1])
        match deed.end:
            case "stall":
                connection.recv(1)  # until the gateway gives up
            case "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return deed.end == "keep"


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)

"""HTTP requests of the local command line to the gateway that runs with a configuration file."""

import http.client
import json
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.runtime.control_socket import candidates

PATIENCE_S = 60.0

Document = dict[str, Any]


def ask(
    config_path: Path, method: str, path: str, document: Mapping[str, Any] | None = None
) -> tuple[int, Document] | None:
    """Return the status and the document of the response. Return None without a gateway, and print the reason on stderr."""
    for place in candidates(config_path):
        try:
            return _ask(place, method, path, document)
        except (FileNotFoundError, ConnectionRefusedError):
            continue
        except (OSError, http.client.HTTPException, ValueError) as error:
            sys.stderr.write(f"{place}: no answer from the gateway: {str(error).strip() or type(error).__name__}\n")
            return None
    sys.stderr.write(f"{config_path}: no gateway is running with this file\n")
    return None


def print_refusal(status: int, document: Document) -> int:
    """Print why the gateway refused the request. Return the exit code."""
    error = document.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    sys.stderr.write(f"{message}\n" if message else f"the gateway answered {status}: {error}\n")
    return 1


def _ask(place: Path, method: str, path: str, document: Mapping[str, Any] | None) -> tuple[int, Document]:
    connection = _UnixConnection(place)
    try:
        body = None if document is None else json.dumps(document).encode()
        connection.request(method, path, body, {"content-type": "application/json"} if body else {})
        response = connection.getresponse()
        answer = json.loads(response.read())
    finally:
        connection.close()
    if not isinstance(answer, dict):
        raise ValueError("it is no JSON object")
    return response.status, answer


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, place: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE_S)
        self._place = place

    def connect(self) -> None:
        """Connect to the socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._place))

"""`gateway reload`: ask the running gateway to read its configuration again."""

import http.client
import json
import socket
import sys
from pathlib import Path
from typing import Any

from gateway.core.problem import Place, Problem
from gateway.runtime.control_socket import candidates

PATIENCE_S = 60.0


def reload(config_path: Path) -> int:
    """Reload the gateway that runs with this file and print the outcome; gives the exit code."""
    for place in candidates(config_path):
        try:
            status, outcome = _post(place)
        except (FileNotFoundError, ConnectionRefusedError):
            continue
        except (OSError, http.client.HTTPException, ValueError) as error:
            sys.stderr.write(f"{place}: no answer from the gateway: {str(error).strip() or type(error).__name__}\n")
            return 1
        return _print(status, outcome)
    sys.stderr.write(f"{config_path}: no gateway is running with this file\n")
    return 1


def _post(place: Path) -> tuple[int, dict[str, Any]]:
    connection = _UnixConnection(place)
    try:
        connection.request("POST", "/admin/reload")
        response = connection.getresponse()
        document = json.loads(response.read())
    finally:
        connection.close()
    if not isinstance(document, dict):
        raise ValueError("it is no JSON object")
    return response.status, document


def _print(status: int, outcome: dict[str, Any]) -> int:
    if outcome.get("ok"):
        sys.stdout.write("config {generation} active on {active} of {workers} workers\n".format_map(outcome))
        return 0
    if "ok" not in outcome:
        sys.stderr.write(f"the gateway answered {status}: {outcome.get('error')}\n")
        return 1
    for one in outcome["problems"]:
        problem = Problem(Place(one["file"], one["line"], one["column"]), one["path"], one["message"])
        sys.stderr.write(f"{problem}\n")
    for name in outcome["static"]:
        sys.stderr.write(f"{name}: can't be changed by a reload; restart the gateway to change it\n")
    sys.stderr.write("refused: config {generation} stays active\n".format_map(outcome))
    return 1


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

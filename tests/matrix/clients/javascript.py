"""The official JavaScript clients, in one process of node that `tests/js/worker.mjs` runs."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from tests.matrix.asks import Ask, Said
from tests.matrix.clients.base import Server

FOLDER: Final = Path(__file__).parents[2] / "js"


def why_missing() -> str:
    """Say what has to be installed before the JavaScript clients can be tried; "" for nothing."""
    if shutil.which("node") is None:
        return "node is not installed: install nodejs and npm, then `make test`"
    if not (FOLDER / "node_modules/.package-lock.json").exists():
        return "the JavaScript clients are not installed: `npm ci` in tests/js"
    return ""


class Node:
    """A process that asks for us; started at the first question."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, dialect: str, server: Server, asks: Sequence[Ask]) -> list[Said]:
        if self._process is None:
            self._process = subprocess.Popen(
                ["node", "worker.mjs"],
                cwd=FOLDER,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
        assert self._process.stdin is not None and self._process.stdout is not None
        wanted: dict[str, Any] = {"dialect": dialect, "url": server.url, "key": server.key, "headers": server.headers}
        line = json.dumps({**wanted, "asks": [msgspec.to_builtins(ask) for ask in asks]})
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._process.stdout.readline(), type=list[Said])

    def close(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@dataclass(frozen=True)
class JavaScriptClient:
    """One dialect of the packages for JavaScript, where every call is asynchronous."""

    node: Node
    name: str
    dialect: str

    def ask(self, server: Server, ask: Ask) -> Said:
        return self.ask_at_once(server, [ask])[0]

    def ask_at_once(self, server: Server, asks: Sequence[Ask]) -> list[Said]:
        return self.node.ask(self.dialect, server, asks)

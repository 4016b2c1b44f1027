"""The simulator as a process, with a record of received requests."""

import base64
from pathlib import Path
from typing import Any

from tests.support.http import fetch
from tests.support.processes import PythonProcess, free_port
from tests.support.waiting import wait_for


class SimulatorProcess(PythonProcess):
    """A simulator on a free port; `stats` and `recorded` return what it received for one model, or in total."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        super().__init__(
            "gateway.runtime.simulator_process",
            ["--listen", f"127.0.0.1:{self.port}", "--record"],
            folder / "simulator.log",
        )
        try:
            wait_for(self._is_healthy, "the simulator")
        except BaseException:
            self.kill()
            raise

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def url(self) -> str:
        """The base URL for a provider of kind `openai`."""
        return f"http://127.0.0.1:{self.port}/v1"

    def stats(self, model: str | None = None) -> dict[str, Any]:
        """Return the counts of one model, or the total."""
        query = "" if model is None else "?model=" + model.replace("%", "%25")
        return dict(fetch(self.address, "/stats" + query).json())

    def recorded(self, model: str | None = None) -> tuple[list[tuple[str, str]], bytes]:
        """Return headers and body of the last request."""
        last = self.stats(model)["last_request"]
        return [(name, value) for name, value in last["headers"]], base64.b64decode(last["body_base64"])

    def wait_until(self, count: str, at_least: int, model: str, timeout_s: float = 10.0) -> dict[str, Any]:
        """Wait until a count of a model reaches a value; return the counts."""

        def look() -> dict[str, Any] | None:
            stats = self.stats(model)
            return stats if stats[count] >= at_least else None

        found = wait_for(look, f"{count} >= {at_least} of {model} at the simulator", timeout_s)
        assert found is not None
        return found

    def _is_healthy(self) -> bool:
        assert self.exit_code is None, f"the simulator ended with {self.exit_code}:\n{self.log()}"
        try:
            return fetch(self.address, "/health").status == 200
        except ConnectionRefusedError:
            return False

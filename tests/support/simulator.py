"""The simulator as a process of its own, with a memory of what reached it."""

import base64
from pathlib import Path
from typing import Any

from tests.support.http import fetch
from tests.support.processes import PythonProcess, free_port
from tests.support.waiting import wait_for


class SimulatorProcess(PythonProcess):
    """A simulator on a free port; `stats` and `recorded` tell what it has seen of one model, or of all."""

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
        """The base URL, as a provider of kind `openai` takes it."""
        return f"http://127.0.0.1:{self.port}/v1"

    def stats(self, model: str | None = None) -> dict[str, Any]:
        """Give the counts of one model, or of all."""
        query = "" if model is None else "?model=" + model.replace("%", "%25")
        return dict(fetch(self.address, "/stats" + query).json())

    def recorded(self, model: str | None = None) -> tuple[list[tuple[str, str]], bytes]:
        """Give headers and body of the last request."""
        last = self.stats(model)["last_request"]
        return [(name, value) for name, value in last["headers"]], base64.b64decode(last["body_base64"])

    def wait_until(self, count: str, at_least: int, model: str, timeout_s: float = 10.0) -> dict[str, Any]:
        """Wait until a count of a model has reached a figure; gives the counts then."""

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

"""The real gateway as a process: `python -m gateway run --config FILE`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

from tests.support.http import Answer, fetch
from tests.support.processes import PythonProcess, children_of, command_of, free_port, open_descriptors, rss_bytes
from tests.support.waiting import wait_for

ADMIN_KEY = "test-admin-key-0123456789"
START_S = 20.0


class GatewayProcess(PythonProcess):
    """A gateway on free ports. `body` is its gateway.yaml without `version:` and `server:`; `server` is added to the latter,
    `listen` are further listeners, all as YAML."""

    def __init__(
        self,
        folder: Path,
        body: str,
        *,
        server: str = "",
        listen: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        wait: bool = True,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port, self.admin_port = free_port(), free_port()
        self.config = folder / "gateway.yaml"
        self._server = server
        self._listen = listen
        self.write_config(body)
        environment = {"GATEWAY_ADMIN_KEY": ADMIN_KEY, **(env or {})}
        command = ["run", "--config", str(self.config)]
        super().__init__("gateway", command, folder / "gateway.log", environment, stdout=stdout, stderr=stderr)
        if wait:
            try:
                self.wait_until_ready()
            except BaseException:
                self.kill()
                raise

    def write_config(self, body: str) -> None:
        """Rewrite the configuration file, ports included; it takes effect at the next reload."""
        head = f"""\
            version: 1
            server:
              listen: [{", ".join([f'"127.0.0.1:{self.port}"', *self._listen])}]
              admin: {{listen: "127.0.0.1:{self.admin_port}", key: "${{GATEWAY_ADMIN_KEY}}"}}
            """
        self.config.write_text(dedent(head) + indent(dedent(self._server), "  ") + "\n" + dedent(body))

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def admin_address(self) -> tuple[str, int]:
        return "127.0.0.1", self.admin_port

    @property
    def base_url(self) -> str:
        """The base URL for the official clients."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def worker_pids(self) -> list[int]:
        return [pid for pid in children_of(self.pid) if "gateway.runtime.worker" in command_of(pid)]

    @property
    def all_pids(self) -> list[int]:
        """The control process and its children."""
        return [self.pid, *children_of(self.pid)]

    def rss(self) -> int:
        """Return the resident bytes of control and workers, without managed servers."""
        return rss_bytes(self.pid) + sum(map(rss_bytes, self.worker_pids))

    def fds(self) -> int:
        """Return the number of open descriptors of control and workers."""
        return open_descriptors(self.pid) + sum(map(open_descriptors, self.worker_pids))

    def admin(self, path: str, *, post: bool = False) -> Answer:
        """Send a request to the admin listener, with the admin key."""
        headers = {"authorization": f"Bearer {ADMIN_KEY}", "host": f"127.0.0.1:{self.admin_port}"}
        return fetch(self.admin_address, path, b"" if post else None, headers)

    def log_lines(self) -> list[dict[str, Any]]:
        """Return the JSON lines of the log."""
        return [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]

    def wait_until_ready(self, timeout_s: float = START_S) -> None:
        """Wait until `/ready` answers 200."""
        wait_for(self._is_ready, "the gateway to be ready", timeout_s)

    def _is_ready(self) -> bool:
        assert self.exit_code is None, f"the gateway ended with {self.exit_code}:\n{self.log()[-8000:]}"
        try:
            return fetch(self.address, "/ready").status == 200
        except (ConnectionRefusedError, ConnectionResetError):
            return False


PROVIDER_KEY = "provider-key-of-the-gateway"


def simulator_config(url: str, more: str = "") -> str:
    """Return a configuration that routes `sim-*` models to the simulator at `url`; `more` is inserted before the routes."""
    return f"""
providers:
  sim: {{kind: openai, url: "{url}", key: "${{SIM_KEY}}"}}
models:
  sim-*: {{provider: sim, price: {{input: 1, output: 2}}, quality: 0.5}}
defaults: {{breaker: none, retry: none}}
{dedent(more)}
routes:
  - {{name: direct, match: ["*"], to: requested}}
"""


@contextmanager
def running_gateway(folder: Path, body: str, **options: Any) -> Iterator[GatewayProcess]:
    """Run a gateway within the context; it must exit cleanly."""
    env = {"SIM_KEY": PROVIDER_KEY, **options.pop("env", {})}
    with GatewayProcess(folder, body, env=env, **options) as process:
        yield process
        assert process.stop() == 0, process.log()[-8000:]

"""The servers behind the gateway, each a process on a free port, and the gateway's configuration that names them all."""

import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

from gateway.runtime.model_server import find_weights
from tests.matrix.cases import PROVIDERS
from tests.support.http import fetch
from tests.support.processes import PythonProcess, free_port
from tests.support.waiting import wait_for

KEY: Final = "client-key-0123456789"
DOUBLES: Final = Path(sys.prefix) / "doubles"  # packages of servers, which the tests themselves must not see


class Listening(PythonProcess):
    """A server that answers 200 on `/health` when it is ready."""

    def __init__(
        self, name: str, module: str, arguments: list[str], folder: Path, port: int, env: Mapping[str, str]
    ) -> None:
        self.port = port
        super().__init__(module, arguments, folder / f"{name}.log", env)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self) -> None:
        try:
            wait_for(self._is_healthy, "a server to be ready", 30.0)
        except BaseException:
            self.kill()
            raise

    def _is_healthy(self) -> bool:
        assert self.exit_code is None, f"the server ended with {self.exit_code}:\n{self.log()[-4000:]}"
        try:
            return fetch(("127.0.0.1", self.port), "/health").status == 200
        except (ConnectionRefusedError, ConnectionResetError):
            return False


def llama(folder: Path) -> Listening:
    """Start llama.cpp's own server."""
    port, weights = free_port(), str(find_weights("smollm2-135m"))
    return Listening("llama", "tests.matrix.llama_server", [str(port), weights], folder, port, {})


def katan(folder: Path) -> Listening:
    """Start llm-katan, which echoes in both dialects after 30 ms and looks whether there is a key."""
    port = free_port()
    options = f"-m tiny --backend echo --providers openai,anthropic --host 127.0.0.1 --port {port} --ttft-ms 30"
    stats = ["--stats-file", str(folder / "katan.json"), "--max-concurrent", "8", "--log-level", "ERROR"]
    environment = {"PYTHONPATH": str(DOUBLES)}
    return Listening("katan", "llm_katan.cli", [*options.split(), *stats], folder, port, environment)


def configuration(simulator: str, llama: str, katan: str) -> str:
    """Give the gateway's. Models of the simulator tell their providers by the seed in their names."""
    simulated = [one for one in PROVIDERS if one.backend == "simulator"]
    families = "\n".join(
        f'  "{one.model()}*": {{provider: {one.id}, price: {{input: 1, output: 2}}}}\n'
        f"  {one.model('stall_head-tokens1')}: {{provider: {one.id}, price: {{input: 1, output: 2}}, timeout: {{first_token: 100ms}}}}"
        for one in simulated
    )
    others = "\n".join(
        f"  {one.id}: {{provider: {one.id}, id: smollm2-135m, price: {{input: 0, output: 0}}}}"
        for one in PROVIDERS
        if one not in simulated
    )
    return f"""
providers:
  sim-chat: {{kind: openai, url: "{simulator}/v1", key: "${{SIM_KEY}}"}}
  sim-messages: {{kind: anthropic, url: "{simulator}", key: "${{SIM_KEY}}"}}
  sim-responses: {{kind: openai, url: "{simulator}/v1", key: "${{SIM_KEY}}", speaks: [responses]}}
  sim-all: {{kind: openai, url: "{simulator}/v1", key: "${{SIM_KEY}}", speaks: [chat, messages, responses, completions]}}
  llama-embedded: {{kind: llamacpp}}
  llama-openai: {{kind: openai, url: "{llama}/v1", speaks: [chat, responses, completions]}}
  llama-anthropic: {{kind: anthropic, url: "{llama}"}}
  katan-openai: {{kind: openai, url: "{katan}/v1", key: "${{SIM_KEY}}"}}
  katan-anthropic: {{kind: anthropic, url: "{katan}", key: "${{SIM_KEY}}"}}
models:
{families}
{others}
defaults: {{breaker: none, retry: none}}
routes:
  - {{name: direct, match: ["*"], to: requested}}
tenants:
  acme: {{keys: ["sha256:{sha256(KEY.encode()).hexdigest()}"]}}
"""

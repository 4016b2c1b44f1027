"""No reader of the logs can stop the gateway: stuck, closed or full outputs cost log lines, and nothing else."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import StartGateway
from tests.support.gateway import GatewayProcess
from tests.support.http import Connection, ask, chat_body, fetch
from tests.support.processes import free_port
from tests.support.waiting import wait_for

CONFIG = """
providers:
  sim: {kind: simulator}
  gone: {kind: openai, url: "http://127.0.0.1:%d/v1", key: none}
models:
  quick: {provider: sim, price: {input: 1, output: 2}, quality: 0.5, simulate: {tokens: 3}}
  lost: {provider: gone, price: {input: 1, output: 2}, quality: 0.5}
  lengthy: {provider: sim, price: {input: 1, output: 2}, quality: 0.5, simulate: {tokens: 20, rate: 20/s}}
pools:
  main: {members: [lost], then: spare}
  spare: {members: [quick]}
defaults: {breaker: {failures: 2, recovery: 60s, successes: 1}, retry: none}
observe: {log: {level: %s}}
routes:
  - {name: main, match: [auto], to: main}
  - {name: direct, match: ["*"], to: requested}
"""
DROPPED = 'gateway_log_lines_dropped_total{log="%s"}'


def config(level: str = "info") -> str:
    return CONFIG % (free_port(), level)


@pytest.fixture
def stuck() -> Iterator[int]:
    """A pipe that is full to the brim and is never read; its write end."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    yield writer
    os.close(writer)
    os.close(reader)


def metric(gateway: GatewayProcess, name: str) -> float:
    page = gateway.admin("/metrics").body.decode()
    return sum(float(value) for value in re.findall(f"^{re.escape(name)}[^ ]* (.*)$", page, re.M))


def work_and_stop(gateway: GatewayProcess) -> None:
    """Open a breaker, reload, and stop while a stream runs; all of it in the usual time."""
    wait_for(lambda: gateway.admin("/ready").json()["warming"] == [], "the simulator to be up")
    began_at = time.monotonic()
    for _ in range(6):
        assert ask(gateway.address, "auto").status == 200
    assert metric(gateway, "gateway_breaker_openings_total") >= 1
    for _ in range(2):  # the first stays in control's queue, the second would wait for it
        before = gateway.admin("/admin/config").json()["generation"]
        gateway.signal(signal.SIGHUP)
        wait_for(lambda before=before: gateway.admin("/admin/config").json()["generation"] > before, "the reload")
    assert fetch(gateway.address, "/ready").status == 200
    assert gateway.admin("/ready").status == 200
    assert ask(gateway.address, "auto").status == 200
    assert metric(gateway, "gateway_worker_restarts_total") == 0
    with Connection(gateway.address) as stream:
        stream.request("POST", "/v1/chat/completions", chat_body("lengthy", stream=True))
        stream.read_until(b'"content":"')
        gateway.signal(signal.SIGTERM)
        wait_for(lambda: gateway.admin("/ready").status == 503, "the stop to begin")
        stream.read_until(b"data: [DONE]")
    assert gateway.wait() == 0
    assert time.monotonic() - began_at < 30


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_both_outputs_stuck(start_gateway: StartGateway, stuck: int, level: str) -> None:
    work_and_stop(start_gateway(config(level), stdout=stuck, stderr=stuck))


def test_stderr_stuck_and_the_request_log_goes_on(start_gateway: StartGateway, stuck: int) -> None:
    gateway = start_gateway(config(), stderr=stuck)
    work_and_stop(gateway)
    assert len([line for line in gateway.log_lines() if line["path"] == "/v1/chat/completions"]) == 8


def test_stdout_stuck_and_the_process_log_goes_on(start_gateway: StartGateway, stuck: int) -> None:
    gateway = start_gateway(config(), stdout=stuck)
    work_and_stop(gateway)
    messages = [line["message"] for line in gateway.log_lines()]
    assert messages.count("breaker opened") == 1
    assert messages[-1] == "gateway stopped"


def test_lines_lost_at_a_stuck_reader_are_counted(start_gateway: StartGateway, stuck: int) -> None:
    text = config("debug").replace("{failures: 2, recovery: 60s, successes: 1}", "none")
    text = text.replace("then: spare}", "then: second}\n  second: {members: [gone-too], then: spare}")
    text = text.replace(
        "  lengthy:", "  gone-too: {provider: gone, price: {input: 1, output: 2}, quality: 0.5}\n  lengthy:"
    )
    gateway = start_gateway(text, stdout=stuck, stderr=stuck)
    wait_for(lambda: gateway.admin("/ready").json()["warming"] == [], "the simulator to be up")
    assert metric(gateway, DROPPED % "request") == metric(gateway, DROPPED % "process") == 0
    with Connection(gateway.address) as client:
        for _ in range(2200):  # each leaves 600 bytes in each log
            client.request("POST", "/v1/chat/completions", chat_body("auto"))
            client.read_answer()
    assert metric(gateway, DROPPED % "request") > 0
    assert metric(gateway, DROPPED % "process") > 0
    assert gateway.stop() == 0


def test_a_worker_that_is_replaced_while_stderr_is_stuck(start_gateway: StartGateway, stuck: int) -> None:
    gateway = start_gateway(config(), stderr=stuck)
    (first,) = gateway.worker_pids
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: gateway.worker_pids not in ([], [first]), "another worker")
    assert ask(gateway.address, "auto").status == 200
    (child,) = set(gateway.all_pids) - {gateway.pid, *gateway.worker_pids}
    os.kill(child, signal.SIGKILL)
    wait_for(lambda: gateway.admin("/health").json()["servers"] == {"sim": "up"}, "the child to come back")


def test_a_reader_that_is_gone_and_a_full_disk_leave_no_traceback(start_gateway: StartGateway) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    work_and_stop(start_gateway(config(), stdout=writer, stderr=writer))
    os.close(writer)
    full = os.open("/dev/full", os.O_WRONLY)
    gateway = start_gateway(config(), stdout=full)
    work_and_stop(gateway)
    os.close(full)
    assert "Traceback" not in gateway.log()


def test_closed_outputs_are_no_sockets(start_gateway: StartGateway, tmp_path: Path) -> None:
    """Without care the first socket would get the number of stdout, and log lines with it."""
    gateway = start_gateway(config())
    gateway.stop()
    script = f"exec {sys.executable} -m gateway run --config {gateway.config} <&- >&- 2>&-"
    with subprocess.Popen(["sh", "-c", script], env={**os.environ, "GATEWAY_ADMIN_KEY": "k" * 20}) as process:
        wait_for(lambda: is_ready(gateway.address), "the gateway without outputs", 20)
        assert ask(gateway.address, "auto").status == 200
        assert {str(Path(f"/proc/{process.pid}/fd/{fd}").readlink()) for fd in range(3)} == {"/dev/null"}
        process.terminate()
        assert process.wait(10) == 0


def is_ready(address: tuple[str, int]) -> bool:
    try:
        return fetch(address, "/ready").status == 200
    except (ConnectionRefusedError, ConnectionResetError):
        return False


def test_a_refused_start_ends_although_stderr_is_stuck(tmp_path: Path, stuck: int) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text("version: 1\nproviders: 5\n")
    command = [sys.executable, "-m", "gateway", "run", "--config", str(config)]
    assert subprocess.run(command, stderr=stuck, stdout=stuck, timeout=20, check=False).returncode == 2


def test_usr1_and_usr2_are_ignored_and_quit_drains(start_gateway: StartGateway) -> None:
    gateway = start_gateway(config())
    wait_for(lambda: gateway.admin("/ready").json()["warming"] == [], "the simulator to be up")
    pids = gateway.all_pids
    for pid in pids:
        os.kill(pid, signal.SIGUSR1)
        os.kill(pid, signal.SIGUSR2)
    with Connection(gateway.address) as stream:
        stream.request("POST", "/v1/chat/completions", chat_body("lengthy", stream=True))
        stream.read_until(b'"content":"')
        assert gateway.all_pids == pids
        gateway.signal(signal.SIGQUIT)
        stream.read_until(b"data: [DONE]")
    assert gateway.wait() == 0


def test_a_stop_right_after_the_first_ready_drains(start_gateway: StartGateway) -> None:
    for _ in range(3):
        gateway = start_gateway(config(), wait=False)
        while not is_ready(gateway.address):
            time.sleep(0.001)
        with Connection(gateway.address) as stream:
            stream.request("POST", "/v1/chat/completions", chat_body("lengthy", stream=True))
            gateway.signal(signal.SIGTERM)
            stream.read_until(b"data: [DONE]")
        assert gateway.wait() == 0

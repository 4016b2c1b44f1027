"""Several workers behind one port: loaded evenly, moved together, replaced one by one, and told to go all at once."""

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.conftest import StartGateway
from tests.support.gateway import GatewayProcess
from tests.support.http import Connection, Truncated, ask, chat_body, fetch
from tests.support.processes import is_alive, open_descriptors, wait_for_end
from tests.support.waiting import wait_for

BODY = """
providers:
  sim: {kind: simulator}
models:
  quick: {provider: sim, price: {input: 1, output: 2}, quality: 0.5, simulate: {tokens: 3}}
  endless: {provider: sim, price: {input: 1, output: 2}, quality: 0.5, simulate: {tokens: 100000, rate: 20/s}}
  lengthy: {provider: sim, price: {input: 1, output: 2}, quality: 0.5, simulate: {tokens: 40, rate: 20/s}}
routes:
  - {name: direct, match: ["*"], to: requested}
"""
TWO = "workers: 2\n"


def start_two(start_gateway: StartGateway, server: str = "") -> GatewayProcess:
    """Start a gateway with two workers that both serve, and its simulator."""
    gateway = start_gateway(BODY, server=TWO + server)
    wait_for_both(gateway)
    wait_for(lambda: gateway.admin("/ready").json()["warming"] == [], "the simulator to be up")
    return gateway


def wait_for_both(gateway: GatewayProcess) -> None:
    wait_for(lambda: gateway.admin("/health").json()["workers"]["active"] == 2, "two workers")


def counted(gateway: GatewayProcess, metric: str) -> dict[str, float]:
    """Give the samples of a metric by what stands between its braces."""
    page = gateway.admin("/metrics").body.decode()
    return {labels: float(value) for labels, value in re.findall(rf"^{metric}(?:{{(.*)}})? (\S+)$", page, re.MULTILINE)}


def open_stream(gateway: GatewayProcess, model: str) -> Connection:
    connection = Connection(gateway.address)
    connection.request("POST", "/v1/chat/completions", chat_body(model, stream=True))
    connection.read_until(b'"content":"')
    return connection


def workers_by_stream(gateway: GatewayProcess, streams: list[Connection]) -> dict[int, list[Connection]]:
    """Tell which worker holds which stream, by the inodes of its sockets."""
    by_port = {stream.socket.getsockname()[1]: stream for stream in streams}
    inodes = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, *rest = line.split()
        if int(local.split(":")[1], 16) == gateway.port and (port := int(remote.split(":")[1], 16)) in by_port:
            inodes[f"socket:[{rest[5]}]"] = by_port[port]
    held: dict[int, list[Connection]] = {}
    for pid in gateway.worker_pids:
        links = (str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink())
        held[pid] = [inodes[link] for link in links if link in inodes]
    return held


def test_each_of_two_takes_about_half_of_the_connections(start_gateway: StartGateway) -> None:
    gateway = start_two(start_gateway)
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: ask(gateway.address, "quick").status, range(600)))
    assert statuses == [200] * 600
    by_worker = counted(gateway, "gateway_worker_requests_total")
    assert sum(by_worker.values()) == 600
    assert set(by_worker) == {'worker="1"', 'worker="2"'}
    assert min(by_worker.values()) >= 240, by_worker


def test_a_killed_worker_costs_its_own_streams_only_and_is_replaced_soon(start_gateway: StartGateway) -> None:
    gateway = start_two(start_gateway)
    with ExitStack() as opened:
        streams = [opened.enter_context(open_stream(gateway, "endless")) for _ in range(24)]
        held = workers_by_stream(gateway, streams)
        (victim, lost), (other, kept) = held.items()
        assert lost and kept and len(lost) + len(kept) == 24
        before = counted(gateway, "llm_requests_total")
        os.kill(victim, signal.SIGKILL)
        began_at = time.monotonic()
        answers = [ask(gateway.address, "quick").status for _ in range(50)]  # no connection is refused or left waiting
        assert answers == [200] * 50
        wait_for(lambda: victim not in gateway.worker_pids and len(gateway.worker_pids) == 2, "another worker")
        wait_for_both(gateway)
        assert time.monotonic() - began_at < 3
        for stream in lost:
            assert not ends_well(stream)
        for stream in kept:
            stream.read_until(b'"content":"')
            stream.read_until(b'"content":"')
        assert other in gateway.worker_pids
        assert victim not in gateway.worker_pids
        after = counted(gateway, "llm_requests_total")
        assert all(after[labels] >= value for labels, value in before.items())
        assert counted(gateway, "gateway_worker_restarts_total") == {"": 1}


def ends_well(stream: Connection) -> bool:
    try:
        return b"[DONE]" in stream.read_until(b"0\r\n\r\n")
    except Truncated as error:
        return b"[DONE]" in error.got


def test_counters_never_fall_while_workers_are_killed(start_gateway: StartGateway) -> None:
    gateway = start_two(start_gateway)
    last = 0.0
    for _ in range(3):
        for _ in range(20):
            assert ask(gateway.address, "quick").status == 200
        now = sum(counted(gateway, "llm_requests_total").values())
        assert now == last + 20  # a scrape asks every worker, so nothing of before the kill is lost
        last = now
        os.kill(gateway.worker_pids[0], signal.SIGKILL)
        assert sum(counted(gateway, "llm_requests_total").values()) == last
        wait_for_both(gateway)


def test_a_stopped_worker_is_stood_in_for_and_replaced(start_gateway: StartGateway) -> None:
    gateway = start_two(start_gateway)
    victim, other = gateway.worker_pids
    os.kill(victim, signal.SIGSTOP)  # it is there, and its loop turns no more
    with ThreadPoolExecutor(16) as pool:
        statuses = set(pool.map(lambda _: ask(gateway.address, "quick").status, range(16)))
    assert statuses == {200}
    wait_for(lambda: not is_alive(victim), "the stopped worker's end", 20)
    wait_for_both(gateway)
    assert other in gateway.worker_pids
    assert "worker stopped responding; killing it" in gateway.log()


def test_reloads_under_load_reach_both_and_cost_nothing(start_gateway: StartGateway) -> None:
    gateway = start_two(start_gateway)
    statuses: list[int] = []
    is_over = threading.Event()

    def load() -> None:
        while not is_over.is_set():
            statuses.append(ask(gateway.address, "quick").status)

    with ExitStack() as opened:
        streams = [opened.enter_context(open_stream(gateway, "lengthy")) for _ in range(20)]
        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(2, 12):
            gateway.signal(signal.SIGHUP)
            wait_for(lambda n=number: gateway.admin("/admin/config").json()["generation"] == n, f"generation {number}")  # type: ignore[misc]
        is_over.set()
        for thread in threads:
            thread.join()
        for stream in streams:
            stream.read_until(b"data: [DONE]")
    assert statuses and set(statuses) == {200}
    outcome = gateway.admin("/admin/config").json()["last_reload"]
    assert (outcome["active"], outcome["workers"]) == (2, 2)
    assert {ask(gateway.address, "quick").header("x-gateway-config") for _ in range(20)} == {"11"}


def test_reload_storms_while_a_worker_restarts_kill_no_worker(start_gateway: StartGateway) -> None:
    gateway = start_two(start_gateway)
    for kills in (1, 2):
        victim, other = gateway.worker_pids
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda pid=victim: pid not in gateway.worker_pids, "the end of the worker")  # type: ignore[misc]
        active = 0
        while active < 2:
            outcome = gateway.admin("/admin/reload", post=True).json()
            assert outcome["ok"], outcome
            active = outcome["active"]
            assert other in gateway.worker_pids
        pids = set(gateway.worker_pids)
        for _ in range(10):
            gateway.signal(signal.SIGHUP)
            outcome = gateway.admin("/admin/reload", post=True).json()
            assert (outcome["ok"], outcome["active"]) == (True, 2)
        assert set(gateway.worker_pids) == pids
        assert counted(gateway, "gateway_worker_restarts_total") == {"": kills}
    assert ask(gateway.address, "quick").status == 200


def test_a_change_of_the_number_of_workers_is_refused_by_name(start_gateway: StartGateway) -> None:
    gateway = start_two(start_gateway)
    gateway.config.write_text(gateway.config.read_text().replace("workers: 2", "workers: 3"))
    outcome = gateway.admin("/admin/reload", post=True).json()
    assert (outcome["ok"], outcome["static"]) == (False, ["server.workers"])


def test_a_stop_drains_both(start_gateway: StartGateway) -> None:
    gateway = start_two(start_gateway)
    pids = gateway.all_pids
    with ExitStack() as opened:
        streams = [opened.enter_context(open_stream(gateway, "lengthy")) for _ in range(16)]
        assert all(workers_by_stream(gateway, streams).values())
        gateway.signal(signal.SIGTERM)
        for stream in streams:
            stream.read_until(b"data: [DONE]")
    assert gateway.wait() == 0
    wait_for_end(pids, 5)


def test_nothing_survives_a_killed_control_beyond_the_deadline_of_a_drain(
    start_gateway: StartGateway,
) -> None:
    gateway = start_two(start_gateway, "drain: {deadline: 1s}")
    pids = gateway.all_pids
    assert len(pids) == 4
    with ExitStack() as opened:
        for _ in range(8):
            opened.enter_context(open_stream(gateway, "endless"))
        os.kill(gateway.pid, signal.SIGKILL)
        assert gateway.wait() == -signal.SIGKILL
        wait_for_end(pids, 8)


@contextmanager
def few_descriptors(count: int) -> Iterator[None]:
    """Let processes that are started meanwhile have no more than `count` descriptors."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_soft_limit_of_descriptors_is_raised(start_gateway: StartGateway) -> None:
    with few_descriptors(256):
        gateway = start_gateway(BODY)
    (worker,) = gateway.worker_pids
    assert resource.prlimit(worker, resource.RLIMIT_NOFILE)[0] > 256


def test_more_connections_than_descriptors_wait_and_harm_nobody(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIMITED]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=55, check=False, cwd=Path.cwd(), env={**os.environ, "FOLDER": str(tmp_path)})  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr


LIMITED = """
import os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
from pathlib import Path
from tests.integration.test_workers import crowd
crowd(Path(os.environ["FOLDER"]))
"""


def crowd(folder: Path) -> None:
    """Hold more connections than the gateway has descriptors for; in a process that has as few itself, but two of it."""
    with GatewayProcess(folder, BODY) as gateway, Connection(gateway.address) as early:
        wait_for(lambda: gateway.admin("/ready").json()["warming"] == [], "the simulator to be up")
        (worker,) = gateway.worker_pids
        idle = [socket.create_connection(gateway.address) for _ in range(120)]
        wait_for(lambda: "no descriptors for more connections" in gateway.log(), "the worker to notice")
        assert open_descriptors(worker) < 150
        early.request("POST", "/v1/chat/completions", chat_body("quick"))  # whoever is in is served, upstream and all
        assert early.read_answer().status == 200
        late = Connection(gateway.address)
        late.request("GET", "/ready")
        for one in idle:
            one.close()
        assert late.read_answer().status == 200  # it waited
        late.close()
        wait_for(lambda: "connections are taken again" in gateway.log(), "room")
        assert fetch(gateway.address, "/ready").status == 200
        assert gateway.worker_pids == [worker]
        assert gateway.stop() == 0
        assert gateway.log().count("no descriptors for more connections") == 1
        assert "Traceback" not in gateway.log()


def test_the_service_manager_hears_of_start_reload_watchdog_and_stop(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(0.3)
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        gateway = start_gateway(BODY, env=env)
        told = notices_until(manager, "READY=1")
        assert "STATUS=config 1 on 1 workers" in told
        gateway.signal(signal.SIGHUP)
        told = notices_until(manager, "READY=1")
        assert re.search(r"RELOADING=1\nMONOTONIC_USEC=\d+\n", told)
        assert "WATCHDOG=1" in told + notices_until(manager, "WATCHDOG=1")
        assert b"NOTIFY_SOCKET" not in Path(f"/proc/{gateway.worker_pids[0]}/environ").read_bytes()
        gateway.signal(signal.SIGTERM)
        notices_until(manager, "STOPPING=1")
        assert gateway.wait() == 0


def notices_until(manager: socket.socket, wanted: str) -> str:
    """Read datagrams up to the one that holds `wanted`; gives all their text."""
    told: list[str] = []

    def is_there() -> bool:
        try:
            told.append(manager.recv(4096).decode())
        except TimeoutError:
            return False
        return wanted in told[-1]

    wait_for(is_there, wanted)
    return "\n".join(told)


def test_the_pid_file_stands_while_it_runs_and_refuses_a_second(tmp_path: Path, port: int) -> None:
    config, pid_file = tmp_path / "gateway.yaml", tmp_path / "gateway.pid"
    config.write_text(f'version: 1\nserver: {{listen: "127.0.0.1:{port}", admin: {{listen: "127.0.0.1:0"}}}}\n{BODY}')
    pid_file.write_text("1\n")  # stale: nobody holds it
    command = [sys.executable, "-m", "gateway", "run", "--config", str(config), "--pid-file", str(pid_file)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: pid_file.read_text() == f"{process.pid}\n", "the pid file")
        second = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert second.returncode == 1
        assert second.stderr == f"gateway: pid file {pid_file}: another gateway is running (pid {process.pid})\n"
        process.terminate()
        assert process.wait(15) == 0
    assert not pid_file.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_start_ends_it_cleanly(tmp_path: Path, port: int, number: signal.Signals) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(f'version: 1\nserver: {{listen: "127.0.0.1:{port}", admin: {{listen: "127.0.0.1:0"}}}}\n{BODY}')
    command = [sys.executable, "-m", "gateway", "run", "--config", str(config)]
    for delay_s in (0.15, 0.3, 0.45):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            wait_for(lambda p=process.pid: "SigCgt" in (text := Path(f"/proc/{p}/status").read_text()) and int(re.findall(r"SigCgt:\s*(\w+)", text)[0], 16) >> 14 & 1, "the handler of SIGTERM")  # type: ignore[misc]  # fmt: skip
            threading.Event().wait(delay_s)
            process.send_signal(number)
            assert process.wait(10) == 0
            assert process.stdout is not None
            assert "Traceback" not in process.stdout.read()

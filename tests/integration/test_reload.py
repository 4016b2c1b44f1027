"""Reloads of a real gateway: by signal, by command, by watching; refused whole where anything is wrong."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import StartGateway
from tests.support.gateway import ADMIN_KEY, GatewayProcess
from tests.support.http import Answer, Connection, ask, chat_body, fetch
from tests.support.processes import free_port
from tests.support.waiting import wait_for

BODY = """
providers:
  sim: {kind: simulator}
models:
  first: {provider: sim, price: {input: 1, output: 2}, quality: 0.5, simulate: {tokens: 3}}
  slow: {provider: sim, price: {input: 1, output: 2}, quality: 0.5, simulate: {tokens: 30, rate: 20/s}}
routes:
  - {name: direct, match: ["*"], to: requested}
"""
CHANGED = BODY.replace("first:", "second:")
BROKEN = BODY.replace("first:", "first: {provider: nobody}\n  other:")


def wait_for_child(gateway: GatewayProcess) -> None:
    wait_for(lambda: gateway.admin("/ready").json()["warming"] == [], "the simulator to be up")


def generation(gateway: GatewayProcess) -> int:
    return int(gateway.admin("/admin/config").json()["generation"])


def reload_command(config: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "gateway", "reload", "--config", str(config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def post_reload(gateway: GatewayProcess) -> Answer:
    return gateway.admin("/admin/reload", post=True)


def test_hangup_brings_the_changed_file_into_force(start_gateway: StartGateway) -> None:
    gateway = start_gateway(BODY)
    wait_for_child(gateway)
    assert ask(gateway.address, "first").header("x-gateway-config") == "1"
    gateway.write_config(CHANGED)
    gateway.signal(signal.SIGHUP)
    wait_for(lambda: generation(gateway) == 2, "the second generation")
    assert ask(gateway.address, "second").header("x-gateway-config") == "2"
    assert ask(gateway.address, "first").status == 404
    assert b"gateway_config_generation 2\n" in gateway.admin("/metrics").body
    lines = [line["message"] for line in gateway.log_lines() if line.get("logger", "").endswith("reload")]
    assert lines == ["config 2 active on 1 of 1 workers"]


def test_an_unchanged_file_reloads_well_under_a_new_number(start_gateway: StartGateway) -> None:
    gateway = start_gateway(BODY)
    assert post_reload(gateway).json()["ok"] is True
    assert generation(gateway) == 2


def test_a_broken_file_changes_nothing_and_is_told_everywhere(start_gateway: StartGateway) -> None:
    gateway = start_gateway(BODY)
    wait_for_child(gateway)
    gateway.write_config(BROKEN)
    line = next(number for number, text in enumerate(gateway.config.read_text().splitlines(), 1) if "nobody" in text)

    answer = post_reload(gateway)
    assert answer.status == 422
    outcome = answer.json()
    assert outcome["ok"] is False
    assert outcome["generation"] == 1
    place = [(one["line"], one["path"]) for one in outcome["problems"]]
    assert (line, "models.first.provider") in place
    assert all(one["file"] == str(gateway.config) and one["column"] > 0 for one in outcome["problems"])

    assert gateway.admin("/admin/config").json()["last_reload"] == outcome
    assert b"gateway_config_last_reload_ok 0\n" in gateway.admin("/metrics").body
    assert b'gateway_config_reloads_total{outcome="refused"} 1\n' in gateway.admin("/metrics").body
    logged = [one for one in gateway.log_lines() if one["message"] == "configuration problem"]
    assert [(one["level"], one["path"]) for one in logged if one["path"] == "models.first.provider"] == [
        ("error", "models.first.provider")
    ]
    assert all(one["place"].startswith(f"{gateway.config}:") for one in logged)
    assert ask(gateway.address, "first").header("x-gateway-config") == "1"

    gateway.write_config(BODY)
    assert post_reload(gateway).json()["generation"] == 2
    assert b"gateway_config_last_reload_ok 1\n" in gateway.admin("/metrics").body


@pytest.mark.parametrize("damage", ["missing", "empty", "binary", "truncated"])
def test_a_file_that_is_no_configuration_changes_nothing(start_gateway: StartGateway, damage: str) -> None:
    gateway = start_gateway(BODY)
    text = gateway.config.read_bytes()
    gateway.config.unlink()
    if damage != "missing":
        gateway.config.write_bytes({"empty": b"", "binary": b"\xff\x00", "truncated": text[: len(text) // 2]}[damage])
    answer = post_reload(gateway)
    assert answer.status == 422
    assert answer.json()["problems"]
    assert generation(gateway) == 1


def test_a_static_change_is_refused_by_name(start_gateway: StartGateway) -> None:
    gateway = start_gateway(BODY)
    text = gateway.config.read_text()
    gateway.config.write_text(text.replace(f'"127.0.0.1:{gateway.port}"', f'"127.0.0.1:{free_port()}"', 1))
    outcome = post_reload(gateway).json()
    assert (outcome["ok"], outcome["static"], outcome["problems"]) == (False, ["server.listen"], [])
    assert fetch(gateway.address, "/ready").status == 200
    told = reload_command(gateway.config)
    assert told.returncode == 1
    assert "server.listen: can't be changed by a reload; restart the gateway to change it" in told.stderr


def test_the_command_prints_the_outcome(start_gateway: StartGateway) -> None:
    gateway = start_gateway(BODY)
    gateway.write_config(CHANGED)
    told = reload_command(gateway.config)
    assert (told.returncode, told.stdout, told.stderr) == (0, "config 2 active on 1 of 1 workers\n", "")
    gateway.write_config(BROKEN)
    told = reload_command(gateway.config)
    assert told.returncode == 1
    assert "models.first.provider: " in told.stderr
    assert told.stderr.splitlines()[0].startswith(f"{gateway.config}:")
    assert told.stderr.endswith("refused: config 2 stays active\n")


def test_the_command_says_when_no_gateway_runs(tmp_path: Path) -> None:
    told = reload_command(tmp_path / "gateway.yaml")
    assert told.returncode == 1
    assert told.stderr == f"{tmp_path}/gateway.yaml: no gateway is running with this file\n"


def test_a_replaced_worker_starts_with_the_last_good_configuration_not_with_the_file(
    start_gateway: StartGateway,
) -> None:
    gateway = start_gateway(BODY)
    wait_for_child(gateway)
    gateway.write_config(CHANGED)
    assert post_reload(gateway).json()["ok"]
    gateway.write_config(BROKEN)
    (worker,) = gateway.worker_pids
    os.kill(worker, signal.SIGKILL)
    assert ask(gateway.address, "second").header("x-gateway-config") == "2"
    assert gateway.worker_pids != [worker]


def test_a_stream_finishes_on_the_configuration_that_it_began_with(start_gateway: StartGateway) -> None:
    gateway = start_gateway(BODY)
    wait_for_child(gateway)
    with Connection(gateway.address) as stream:
        stream.request("POST", "/v1/chat/completions", chat_body("slow", stream=True))
        assert stream.read_head().get("x-gateway-config") == "1"
        # Without the provider: its server has to live on for as long as the stream needs it.
        text = CHANGED.replace("kind: simulator", 'kind: openai, url: "http://127.0.0.1:9"')
        for unit in ("simulate: {tokens: 3}", "simulate: {tokens: 30, rate: 20/s}"):
            text = text.replace(", " + unit, "")
        gateway.write_config(text)
        assert post_reload(gateway).json()["generation"] == 2
        assert b"[DONE]" in b"".join(stream.read_chunks())


def test_reloads_under_load_fail_nothing_and_leak_nothing(start_gateway: StartGateway) -> None:
    gateway = start_gateway(BODY)
    wait_for_child(gateway)
    bodies = [BODY, BODY.replace("tokens: 3}", "tokens: 4}")]

    def stream() -> bool:
        with Connection(gateway.address) as connection:
            connection.request("POST", "/v1/chat/completions", chat_body("slow", stream=True))
            return connection.read_head().status == 200 and b"[DONE]" in b"".join(connection.read_chunks())

    def reload(number: int) -> bool:
        gateway.write_config(bodies[number % 2])
        return bool(post_reload(gateway).json()["ok"])

    def reload_under_streams() -> tuple[int, int]:
        with ThreadPoolExecutor(20) as threads:
            streams = [threads.submit(stream) for _ in range(20)]
            for number in range(20):
                assert reload(number)
                assert ask(gateway.address, "first").status == 200
            assert all(one.result() for one in streams)
        return gateway.fds(), gateway.rss()

    fds, rss = reload_under_streams()  # the connections to the provider stay open for the next time
    fds_later, rss_later = reload_under_streams()
    assert fds_later <= fds + 2
    assert rss_later <= rss + 8 * 2**20
    assert generation(gateway) == 41


def test_many_hangups_at_once_end_in_the_last_text(start_gateway: StartGateway) -> None:
    gateway = start_gateway(BODY)
    wait_for_child(gateway)
    for _ in range(30):
        gateway.signal(signal.SIGHUP)
    gateway.write_config(CHANGED)
    gateway.signal(signal.SIGHUP)
    wait_for(lambda: ask(gateway.address, "second").status == 200, "the last text")
    assert generation(gateway) <= 32


def test_watching_notices_a_file_that_an_editor_replaces(start_gateway: StartGateway) -> None:
    gateway = start_gateway(BODY, server="watch: true")
    wait_for_child(gateway)
    wait_for(lambda: "watching for changes" in gateway.log(), "the watch")
    text = gateway.config.read_text()
    fresh = gateway.config.with_name(".gateway.yaml.swp")
    fresh.write_text(text.replace("first:", "second:"))
    fresh.replace(gateway.config)
    wait_for(lambda: ask(gateway.address, "second").status == 200, "the changed file in force")
    assert generation(gateway) == 2
    # Turned off by a reload, it looks no longer.
    gateway.config.write_text(text.replace("watch: true", "watch: false"))
    wait_for(lambda: ask(gateway.address, "first").status == 200, "the file that ends the watch")


def test_watching_notices_a_config_map_that_swaps_its_links(start_gateway: StartGateway) -> None:
    gateway = start_gateway(BODY)
    text = gateway.config.read_text()
    gateway.stop()

    # As Kubernetes mounts it: gateway.yaml → ..data/gateway.yaml, ..data → ..v1
    folder = gateway.config.parent / "mounted"
    folder.mkdir()
    for version, body in (("..v1", text), ("..v2", text.replace("first:", "second:"))):
        (folder / version).mkdir()
        (folder / version / "gateway.yaml").write_text(body.replace("server:\n", "server:\n  watch: true\n"))
    (folder / "..data").symlink_to("..v1")
    (folder / "gateway.yaml").symlink_to("..data/gateway.yaml")

    command = [sys.executable, "-m", "gateway", "run", "--config", str(folder / "gateway.yaml")]
    log = folder / "log"
    environment = {**os.environ, "GATEWAY_ADMIN_KEY": ADMIN_KEY}
    with log.open("wb") as output, subprocess.Popen(command, stderr=output, stdout=output, env=environment) as process:
        try:
            wait_for(lambda: "watching for changes" in log.read_text(), "the watch")
            (folder / "..fresh").symlink_to("..v2")
            (folder / "..fresh").replace(folder / "..data")
            wait_for(lambda: ask(gateway.address, "second").status == 200, "the swapped version in force")
            told = reload_command(folder / "gateway.yaml")
            assert told.returncode == 0, told.stderr
        finally:
            process.terminate()
            assert process.wait(15) == 0, log.read_text()


def test_the_admin_key_is_asked_for_and_shown_nowhere(start_gateway: StartGateway) -> None:
    gateway = start_gateway(BODY)
    for path in ("/admin/config", "/admin/reload"):
        answer = fetch(gateway.admin_address, path, b"" if "reload" in path else None)
        assert answer.status == 401
        assert answer.error()["code"] == "invalid_admin_key"
    document = json.dumps(gateway.admin("/admin/config").json())
    assert ADMIN_KEY not in document + gateway.log() + gateway.admin("/metrics").body.decode()

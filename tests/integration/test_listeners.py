"""Every kind of listener through the real gateway: TLS, Unix sockets, IPv6, several at once; certificates that change."""

import os
import signal
import socket
import ssl
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.support.certificates import connect, install, shown_certificate, trusting_context
from tests.support.gateway import GatewayProcess, running_gateway, simulator_config
from tests.support.http import CHAT, ask, chat_body, fetch, request_bytes
from tests.support.processes import free_port
from tests.support.simulator import SimulatorProcess
from tests.support.waiting import wait_for

MESSAGES: Any = [{"role": "user", "content": "Say something nice"}]


@dataclass
class Everywhere:
    """A gateway that listens in every way."""

    process: GatewayProcess
    folder: Path
    tls_port: int
    six_port: int
    socket_file: Path


def tls_listener(port: int, folder: str = "tls") -> str:
    return f'{{address: "127.0.0.1:{port}", tls: {{cert: {folder}/tls.crt, key: {folder}/tls.key}}}}'


@pytest.fixture
def everywhere(simulator: SimulatorProcess, tmp_path: Path) -> Iterator[Everywhere]:
    folder = tmp_path / "gateway"
    install("first", folder / "tls")
    tls_port, six_port = free_port(), free_port()
    listen = [
        tls_listener(tls_port),
        f'"[::1]:{six_port}"',
        f'{{address: "unix:g.sock", mode: "0640", owner: "{os.geteuid()}:{os.getegid()}"}}',
    ]
    with running_gateway(folder, simulator_config(simulator.url), listen=listen) as process:
        yield Everywhere(process, folder, tls_port, six_port, folder / "g.sock")


def reload(process: GatewayProcess) -> dict[str, Any]:
    return dict(process.admin("/admin/reload", post=True).json())


def read_until(connection: ssl.SSLSocket, end: bytes) -> bytes:
    got = b""
    while end not in got and (part := connection.recv(65536)):
        got += part
    return got


def test_all_listeners_serve_and_are_named(everywhere: Everywhere) -> None:
    wait_for(lambda: "gateway is ready" in everywhere.process.log(), "the line that says so")
    ready = next(line for line in everywhere.process.log_lines() if line["message"] == "gateway is ready")
    assert ready["listen"] == [
        f"127.0.0.1:{everywhere.process.port}",
        f"127.0.0.1:{everywhere.tls_port}",
        f"[::1]:{everywhere.six_port}",
        f"unix:{everywhere.socket_file}",
    ]
    assert ask(everywhere.process.address, "sim-tokens3").status == 200
    assert ask(everywhere.socket_file, "sim-tokens3").status == 200
    assert stat.S_IMODE(everywhere.socket_file.stat().st_mode) == 0o640
    with socket.create_connection(("::1", everywhere.six_port), timeout=10) as six:
        six.sendall(request_bytes("GET", "/ready"))
        assert six.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")


def test_the_socket_file_goes_with_the_gateway(everywhere: Everywhere) -> None:
    assert everywhere.process.stop() == 0
    assert not everywhere.socket_file.exists()


def test_the_official_client_over_tls(everywhere: Everywhere) -> None:
    url = f"https://localhost:{everywhere.tls_port}/v1"
    with (
        httpx2.Client(verify=trusting_context()) as transport,
        openai.OpenAI(base_url=url, api_key="k", max_retries=0, http_client=transport) as client,
    ):
        answer = client.chat.completions.create(model="sim-tokens7", messages=MESSAGES)
        assert answer.usage is not None and answer.usage.completion_tokens == 7
        with client.chat.completions.create(model="sim-tokens50", messages=MESSAGES, stream=True) as stream:
            assert len([chunk for chunk in stream if chunk.choices[0].delta.content]) == 50
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="", messages=MESSAGES, extra_body={"model": "nothing/at all"})


def test_the_official_client_over_the_unix_socket(everywhere: Everywhere) -> None:
    with (
        httpx2.Client(transport=httpx2.HTTPTransport(uds=str(everywhere.socket_file))) as transport,
        openai.OpenAI(base_url="http://gateway/v1", api_key="k", max_retries=0, http_client=transport) as client,
    ):
        answer = client.chat.completions.create(model="sim-tokens7", messages=MESSAGES)
        assert answer.usage is not None and answer.usage.completion_tokens == 7
        with client.chat.completions.create(model="sim-tokens50", messages=MESSAGES, stream=True) as stream:
            assert len([chunk for chunk in stream if chunk.choices[0].delta.content]) == 50


def test_large_bodies_and_long_streams_pass_through_tls_whole(everywhere: Everywhere) -> None:
    with connect(everywhere.tls_port) as connection:
        connection.sendall(request_bytes("POST", CHAT, chat_body("sim-tokens20000", stream=True, user="x" * 2_000_000)))
        got = read_until(connection, b"data: [DONE]\n\n")
    assert got.count(b'"content":"') >= 20_000


def test_who_leaves_over_tls_leaves_the_provider_too(everywhere: Everywhere, simulator: SimulatorProcess) -> None:
    model = "sim-stall_after2-prompt_tokens2001"
    with connect(everywhere.tls_port) as connection:
        connection.sendall(request_bytes("POST", CHAT, chat_body(model, stream=True)))
        read_until(connection, "café".encode())
    assert simulator.wait_until("aborted", 1, model)["active"] == 0


def test_who_does_not_read_over_tls_slows_the_provider(everywhere: Everywhere, simulator: SimulatorProcess) -> None:
    """Of a stream of 200 MB; what the kernel holds on the way is bounded, and TLS adds no queue of its own."""
    model = "sim-tokens10k-bytes20k-seed2002"
    ask(everywhere.process.address, "sim-tokens3000", stream=True)
    before = everywhere.process.rss()
    with connect(everywhere.tls_port) as connection:
        connection.sendall(request_bytes("POST", CHAT, chat_body(model, stream=True)))
        read_until(connection, b"data: {")
        sent = -1
        while sent != (sent := simulator.stats(model)["bytes"]):
            time.sleep(0.5)
        assert 0 < sent < 16 * 2**20
        assert everywhere.process.rss() - before < 12 * 2**20  # control loads its admin surface meanwhile
    simulator.wait_until("aborted", 1, model)


def test_a_request_that_is_no_http_is_answered_and_ended_over_tls(everywhere: Everywhere) -> None:
    with connect(everywhere.tls_port) as connection:
        connection.sendall(b"GET /ready HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n")
        got = b""
        while part := connection.recv(4096):
            got += part
    assert got.startswith(b"HTTP/1.1 400 ") and b'"invalid_http"' in got


def test_what_is_no_tls_is_turned_away_without_a_word_in_the_log(everywhere: Everywhere) -> None:
    for junk in (request_bytes("GET", "/ready"), b"\x16\x03\x01\x00\x05junk!", b""):
        with socket.create_connection(("127.0.0.1", everywhere.tls_port), timeout=10) as plain:
            plain.sendall(junk)
            plain.shutdown(socket.SHUT_WR)
            assert b"HTTP" not in plain.recv(4096)
    old = trusting_context()
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with connect(everywhere.tls_port, old) as connection:
        assert connection.version() == "TLSv1.2"
    assert fetch(everywhere.process.address, "/ready").status == 200
    assert [line for line in everywhere.process.log_lines() if line.get("level") in ("warning", "error")] == []
    assert "Traceback" not in everywhere.process.log()


def test_a_reload_shows_a_new_certificate_while_old_connections_live_on(everywhere: Everywhere) -> None:
    with connect(everywhere.tls_port) as before:
        before.sendall(request_bytes("POST", CHAT, chat_body("sim-tokens40-rate40", stream=True)))
        got = read_until(before, b"data: {")
        install("second", everywhere.folder / "tls")
        everywhere.process.signal(signal.SIGHUP)
        wait_for(lambda: show(everywhere.tls_port) == "second", "the new certificate")
        assert shown_certificate(before) == "first"
        got += read_until(before, b"data: [DONE]\n\n")
        assert got.count(b'"content":') >= 40
        before.sendall(request_bytes("GET", "/ready"))  # and may ask again
        assert read_until(before, b"}").count(b"HTTP/1.1 200 OK") == 1
    assert show(everywhere.tls_port, name=None) == "second"


def show(port: int, name: str | None = "localhost") -> str:
    with connect(port, name=name) as connection:
        return shown_certificate(connection)


def test_a_certificate_may_move_but_tls_and_addresses_stay(everywhere: Everywhere, simulator: SimulatorProcess) -> None:
    process = everywhere.process
    install("second", everywhere.folder / "renewed")
    text = process.config.read_text()
    process.config.write_text(text.replace("tls/tls.", "renewed/tls."))
    assert reload(process)["ok"]
    assert show(everywhere.tls_port) == "second"
    for changed in (
        text.replace(tls_listener(everywhere.tls_port), f'"127.0.0.1:{everywhere.tls_port}"'),
        text.replace("0640", "0600"),
        text.replace("[::1]", "127.0.0.2"),
    ):
        assert changed != text
        process.config.write_text(changed)
        outcome = reload(process)
        assert (outcome["ok"], outcome["static"]) == (False, ["server.listen"])
    assert show(everywhere.tls_port) == "second"


def test_a_certificate_that_does_not_fit_is_refused_and_the_old_one_serves(everywhere: Everywhere) -> None:
    process, crt = everywhere.process, everywhere.folder / "tls/tls.crt"
    key = everywhere.folder / "tls/tls.key"
    key.write_text("no key")
    (problem,) = reload(process)["problems"]
    assert (problem["path"], problem["line"]) == ("server.listen[1].tls.key", 3)
    assert problem["message"] == 'holds no private key in PEM (got "tls/tls.key")'
    crt.unlink()
    (problem,) = reload(process)["problems"]
    assert problem["message"] == 'no such file (got "tls/tls.crt")'
    assert show(everywhere.tls_port) == "first"
    # A worker that starts now gets what was checked, never the files as they are.
    (worker,) = process.worker_pids
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: process.worker_pids not in ([], [worker]), "another worker")
    wait_for(lambda: fetch(process.address, "/ready").status == 200, "the worker to serve")
    assert show(everywhere.tls_port) == "first"


def test_watched_certificates_take_effect_when_a_secret_volume_is_swapped(
    simulator: SimulatorProcess, tmp_path: Path
) -> None:
    """A Kubernetes volume: files are links through `..data`, which is swapped as a whole."""
    folder, port = tmp_path / "gateway", free_port()
    volume = folder / "tls"
    for number, name in ((1, "first"), (2, "second")):
        install(name, volume / f"..{number}")  # type: ignore[arg-type]
    (volume / "..data").symlink_to("..1")
    for file in ("tls.crt", "tls.key"):
        (volume / file).symlink_to(f"..data/{file}")
    listen = [tls_listener(port)]
    with running_gateway(folder, simulator_config(simulator.url), listen=listen, server="watch: true") as process:
        assert show(port) == "first"
        wait_for(lambda: "watching for changes" in process.log(), "the watch")
        (volume / "..tmp").symlink_to("..2")
        (volume / "..tmp").rename(volume / "..data")
        wait_for(lambda: show(port) == "second", "the new certificate", timeout_s=5)


def test_a_bad_certificate_keeps_the_gateway_from_starting(tmp_path: Path) -> None:
    folder = tmp_path / "gateway"
    install("first", folder / "tls")
    (folder / "tls/tls.key").unlink()
    with GatewayProcess(
        folder, simulator_config("http://127.0.0.1:1/v1"), listen=[tls_listener(1)], wait=False
    ) as process:
        process.wait()
        assert process.exit_code == 2
        place = f"{process.config}:3:"
        assert place in process.log() and 'server.listen[1].tls.key: no such file (got "tls/tls.key")' in process.log()

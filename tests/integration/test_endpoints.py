"""Endpoints as the operator and the workers see them: openings are shared, drains hold, checks find out."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.conftest import StartGateway
from tests.support.gateway import ADMIN_KEY, GatewayProcess
from tests.support.http import CHAT, Answer, Connection, ask, chat_body, fetch
from tests.support.waiting import wait_for

ANSWER = {"id": "c", "object": "chat.completion", "choices": [{"index": 0, "message": {"content": "hi"}}]}


class Provider:
    """A provider that does as it is told: `status` of completions, `health` of `GET /v1/models`."""

    def __init__(self) -> None:
        self.status = 200
        self.health: dict[str, int] = {}  # by key; others: 200
        self.asked: list[str] = []  # the keys of completions
        self.checked: list[str] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                provider.asked.append(self.key)
                self.answer(provider.status, ANSWER if provider.status == 200 else {"error": {"message": "no"}})

            def do_GET(self) -> None:
                provider.checked.append(self.path)
                self.answer(provider.health.get(self.key, 200), {"data": []})

            @property
            def key(self) -> str:
                return self.headers.get("authorization", "").removeprefix("Bearer ")

            def answer(self, status: int, document: Any) -> None:
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1"


@pytest.fixture
def provider() -> Iterator[Provider]:
    one = Provider()
    yield one
    one.server.shutdown()
    one.server.server_close()


def body(url: str, provider: str = "") -> str:
    return f"""
providers:
  web: {{kind: openai, url: "{url}", {provider or "key: one-key"}}}
  sim: {{kind: simulator}}
models:
  big: {{provider: web, price: {{input: 1, output: 2}}, quality: 0.5}}
  spare: {{provider: sim, price: {{input: 1, output: 2}}, quality: 0.5, simulate: {{tokens: 3}}}}
  slow: {{provider: sim, price: {{input: 1, output: 2}}, quality: 0.5, simulate: {{tokens: 30, rate: 20/s}}}}
pools:
  first: {{members: [big], then: second}}
  second: {{members: [spare]}}
defaults: {{retry: none, breaker: {{failures: 3, recovery: 60s}}}}
routes:
  - {{name: alone, match: [big, slow], to: requested}}
  - {{name: auto, match: [auto], to: first}}
"""


def start_two(start_gateway: StartGateway, text: str) -> GatewayProcess:
    gateway = start_gateway(text, server="workers: 2\n")
    wait_for(lambda: gateway.admin("/health").json()["workers"]["active"] == 2, "two workers")
    wait_for(lambda: gateway.admin("/ready").json()["warming"] == [], "the simulator to be up")
    return gateway


def endpoint(gateway: GatewayProcess, name: str) -> dict[str, Any]:
    page = gateway.admin("/admin/endpoints").json()
    return next(dict(one) for one in page["endpoints"] if one["endpoint"] == name)


def turn(gateway: GatewayProcess, what: str, name: str) -> Answer:
    headers = {"authorization": f"Bearer {ADMIN_KEY}", "host": f"127.0.0.1:{gateway.admin_port}"}
    return fetch(gateway.admin_address, f"/admin/endpoints/{what}", {"endpoint": name}, headers)


def command(gateway: GatewayProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "gateway", *arguments, "--config", str(gateway.config)]
    return subprocess.run(line, capture_output=True, text=True, timeout=30, check=False)


def answered_by(gateway: GatewayProcess, count: int = 12) -> set[str | None]:
    """Ask on so many connections that both workers have their share; gives the models that answered."""
    answers = [ask(gateway.address, "auto") for _ in range(count)]
    assert {answer.status for answer in answers} == {200}
    return {answer.header("x-gateway-model") for answer in answers}


def test_an_opening_in_one_worker_is_one_in_all_and_in_those_that_start_later(
    start_gateway: StartGateway, provider: Provider
) -> None:
    gateway = start_two(start_gateway, body(provider.url))
    provider.status = 500
    with Connection(gateway.address) as connection:  # one connection is one worker
        for _ in range(3):
            connection.request("POST", CHAT, chat_body("auto"))
            assert connection.read_answer().status == 200
    opened_at = time.monotonic()
    assert len(provider.asked) == 3
    wait_for(lambda: "breaker opened after that of another worker" in gateway.log(), "the sibling to hear")
    assert time.monotonic() - opened_at < 1
    assert answered_by(gateway) == {"spare"}
    assert len(provider.asked) == 3
    found = endpoint(gateway, "web/big")
    assert (found["state"], found["attempts"], found["failures"]) == ("open", 3, 3)
    assert 50 < found["retry_in_s"] <= 60
    page = gateway.admin("/metrics").body.decode()
    assert 'gateway_breaker_openings_total{endpoint="web/big"} 1' in page
    assert 'gateway_breaker_state{endpoint="web/big"} 1' in page

    for victim in gateway.worker_pids:
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda pid=victim: pid not in gateway.worker_pids and len(gateway.worker_pids) == 2, "another")  # type: ignore[misc]
        wait_for(lambda: gateway.admin("/health").json()["workers"]["active"] == 2, "two workers")
    assert answered_by(gateway) == {"spare"}
    assert len(provider.asked) == 3


def test_a_drain_lets_running_ones_finish_and_holds_through_reloads_and_restarts(
    start_gateway: StartGateway, provider: Provider
) -> None:
    gateway = start_two(start_gateway, body(provider.url))
    assert answered_by(gateway) == {"big"}
    with Connection(gateway.address) as connection:
        connection.request("POST", CHAT, chat_body("slow", stream=True))
        connection.read_until(b'"content":"')
        assert turn(gateway, "drain", "sim/slow").json()["endpoints"] == ["sim/slow"]
        assert ask(gateway.address, "slow").status == 503
        assert endpoint(gateway, "sim/slow")["in_flight"] == 1
        connection.read_until(b"data: [DONE]")

    outcome = turn(gateway, "drain", "web").json()
    assert outcome == {"endpoints": ["web/big"], "active": 2, "workers": 2}
    asked = len(provider.asked)
    assert answered_by(gateway) == {"spare"}
    assert endpoint(gateway, "web/big")["is_drained"]
    assert gateway.admin("/health").json()["out"] == {"web/big": "drained", "sim/slow": "drained"}
    assert gateway.admin("/health").json()["status"] == "healthy"
    assert 'gateway_endpoint_drained{endpoint="web/big"} 1' in gateway.admin("/metrics").body.decode()
    assert gateway.admin("/admin/reload", post=True).json()["ok"]
    assert answered_by(gateway) == {"spare"}
    for victim in gateway.worker_pids:
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda pid=victim: pid not in gateway.worker_pids and len(gateway.worker_pids) == 2, "another")  # type: ignore[misc]
        wait_for(lambda: gateway.admin("/health").json()["workers"]["active"] == 2, "two workers")
    assert answered_by(gateway) == {"spare"}
    assert len(provider.asked) == asked

    assert turn(gateway, "enable", "web/big").json()["endpoints"] == ["web/big"]
    assert answered_by(gateway) == {"big"}


def test_the_command_line_drains_enables_and_shows(start_gateway: StartGateway, provider: Provider) -> None:
    gateway = start_two(start_gateway, body(provider.url))
    done = command(gateway, "drain", "web/big")
    assert (done.returncode, done.stdout) == (0, "drained web/big on 2 of 2 workers\n")
    assert answered_by(gateway) == {"spare"}
    lines = command(gateway, "endpoints").stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:4]] == [
        ["web/big", "drained"],
        ["sim/spare", "ok"],
        ["sim/slow", "ok"],
    ]
    page = json.loads(command(gateway, "endpoints", "--json").stdout)
    assert [one["pool"] for one in page["pools"]] == ["first", "second"]
    wrong = command(gateway, "drain", "web/bug")
    assert (wrong.returncode, wrong.stderr) == (
        1,
        "there is no endpoint or provider 'web/bug'; did you mean 'web/big'?\n",
    )
    done = command(gateway, "enable", "web")
    assert (done.returncode, done.stdout) == (0, "enabled web/big on 2 of 2 workers\n")
    assert answered_by(gateway) == {"big"}


def test_checks_find_a_provider_ill_and_well_again(start_gateway: StartGateway, provider: Provider) -> None:
    health = "key: one-key, health: {every: 100ms, timeout: 1s, failures: 2}"
    gateway = start_gateway(body(provider.url, health))
    wait_for(lambda: gateway.admin("/ready").json()["warming"] == [], "the simulator to be up")
    wait_for(lambda: len(provider.checked) > 2, "checks")
    assert set(provider.checked) == {"/v1/models"}
    assert answered_by(gateway, 3) == {"big"}
    provider.health["one-key"] = 503
    wait_for(lambda: not endpoint(gateway, "web/big")["is_healthy"], "the checks to notice")
    assert answered_by(gateway, 3) == {"spare"}
    found = gateway.admin("/health").json()
    assert (found["status"], found["out"]) == ("degraded", {"web/big": "unhealthy"})
    assert 'gateway_endpoint_healthy{endpoint="web/big"} 0' in gateway.admin("/metrics").body.decode()
    provider.health["one-key"] = 404  # it answers
    wait_for(lambda: endpoint(gateway, "web/big")["is_healthy"], "the checks to notice")
    wait_for(lambda: "big" in answered_by(gateway, 1), "its slow start")

    gateway.config.write_text(gateway.config.read_text().replace(f", {health.partition(', ')[2]}", ""))
    assert gateway.admin("/admin/reload", post=True).json()["ok"]
    checked = len(provider.checked)
    assert answered_by(gateway, 10) <= {"big", "spare"}
    assert len(provider.checked) <= checked + 1  # one may have been on its way


def test_a_key_that_checks_find_refused_rests_while_another_is_left(
    start_gateway: StartGateway, provider: Provider
) -> None:
    provider.health["bad-key"] = 401
    keys = "keys: [bad-key, good-key], health: {every: 100ms}"
    gateway = start_gateway(body(provider.url, keys))
    wait_for(lambda: endpoint(gateway, "web/big")["key_refused"], "the check to notice")
    answers = [ask(gateway.address, "auto") for _ in range(6)]
    assert {answer.header("x-gateway-model") for answer in answers} == {"big"}
    assert set(provider.asked) == {"good-key"}
    assert gateway.admin("/health").json()["out"] == {"web/big": "key_refused"}
    assert gateway.log().count("a provider refuses the gateway's key") == 1
    assert "bad-key" not in gateway.log()
    provider.health.clear()
    wait_for(lambda: not endpoint(gateway, "web/big")["key_refused"], "the check to notice")

"""A client that leaves: its provider call ends at once, in every phase, and nothing is left behind."""

import time
from collections.abc import Iterator

import pytest

from tests.support.gateway import GatewayProcess, running_gateway, simulator_config
from tests.support.http import CHAT, Connection, ask, chat_body
from tests.support.simulator import SimulatorProcess
from tests.support.waiting import wait_for

MOST_S = 0.05
TRIES = 5  # a shared machine may be late once; a gateway that is late is late every time


@pytest.fixture(scope="module")
def gateway(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with running_gateway(tmp_path_factory.mktemp("gateway"), simulator_config(simulator.url)) as process:
        yield process


def leave(
    gateway: GatewayProcess,
    simulator: SimulatorProcess,
    model: str,
    *,
    stream: bool,
    after: bytes = b"",
    how: str = "close",
) -> float:
    """Ask, wait until the provider is busy (and `after` has come), leave; gives the seconds until the provider noticed."""
    before = simulator.stats(model)
    with Connection(gateway.address) as connection:
        connection.request("POST", CHAT, chat_body(model, stream=stream))
        simulator.wait_until("requests", before["requests"] + 1, model)
        wait_for(lambda: simulator.stats(model)["active"], f"{model} to be under way")
        if after:
            connection.read_until(after)
        left_ns = time.monotonic_ns()
        connection.reset() if how == "reset" else connection.close()
    stats = simulator.wait_until("aborted", before["aborted"] + 1, model)
    assert stats["active"] == 0 and stats["completed"] == before["completed"]
    return float(stats["last_abort_ns"] - left_ns) / 1e9


def in_flight(gateway: GatewayProcess) -> float:
    lines = gateway.admin("/metrics").body.decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("gateway_requests_in_flight"))


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    ("model", "stream", "after"),
    [
        pytest.param("sim-stall_head-prompt_tokens1001", True, b"", id="streamed, before the head"),
        pytest.param("sim-stall_after0-prompt_tokens1002", True, b"", id="streamed, the role held back"),
        pytest.param("sim-stall_after2-prompt_tokens1003", True, "café".encode(), id="streamed, silent behind content"),
        pytest.param("sim-tokens100k-rate100-prompt_tokens1004", True, "café".encode(), id="streamed, flowing"),
        pytest.param("sim-stall_head-prompt_tokens1005", False, b"", id="unstreamed, before the head"),
        pytest.param("sim-stall_after1-prompt_tokens1006", False, b"", id="unstreamed, half the body there"),
    ],
)
def test_the_provider_is_left_within_50_ms(
    gateway: GatewayProcess, simulator: SimulatorProcess, model: str, stream: bool, after: bytes, how: str
) -> None:
    model = f"{model}{'1' if how == 'reset' else ''}"
    delays = [leave(gateway, simulator, model, stream=stream, after=after, how=how) for _ in range(TRIES)]
    assert sorted(delays)[TRIES // 2] <= MOST_S, delays


def test_a_client_that_was_slow_and_leaves_frees_its_provider(
    gateway: GatewayProcess, simulator: SimulatorProcess
) -> None:
    model = "sim-tokens10k-bytes20k-prompt_tokens1010"
    with Connection(gateway.address, receive_buffer=16384) as connection:
        connection.request("POST", CHAT, chat_body(model, stream=True))
        connection.read_head()
        looks = [-1]
        while len(set(looks[-20:])) > 1 or len(looks) < 20:  # until the provider is held up
            looks.append(simulator.stats(model)["bytes"])
        left_ns = time.monotonic_ns()
    stats = simulator.wait_until("aborted", 1, model)
    assert (stats["last_abort_ns"] - left_ns) / 1e9 <= 1


def test_a_client_that_leaves_while_it_uploads_reaches_no_provider(
    gateway: GatewayProcess, simulator: SimulatorProcess
) -> None:
    before = simulator.stats()["requests"]
    with Connection(gateway.address) as connection:
        head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n"
        connection.send(head.encode() + b'{"model": "sim-prompt_tokens1020", ')
    assert ask(gateway.address, "sim-prompt_tokens1021").status == 200
    wait_for(lambda: in_flight(gateway) == 0, "no request in flight")
    assert simulator.stats()["requests"] == before + 1


def test_nobody_else_is_asked_for_a_client_that_has_left(
    simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first, second = "sim-stall_head-prompt_tokens1030", "sim-prompt_tokens1031"
    body = f"""
providers:
  sim: {{kind: openai, url: "{simulator.url}", key: "${{SIM_KEY}}"}}
models:
  first: {{provider: sim, id: {first}, price: {{input: 1, output: 2}}, quality: 0.5}}
  second: {{provider: sim, id: {second}, price: {{input: 1, output: 2}}, quality: 0.5}}
pools:
  both: {{members: [first, second]}}
routes:
  - {{name: auto, match: [auto], to: both}}
"""
    with running_gateway(tmp_path_factory.mktemp("pool"), body) as gateway:
        with Connection(gateway.address) as connection:
            connection.request("POST", CHAT, chat_body("auto", stream=True))
            simulator.wait_until("active", 1, first)
        simulator.wait_until("aborted", 1, first)
        assert gateway.stop() == 0  # whatever it still wanted to do, it has done
    assert simulator.stats(second)["requests"] == 0


def test_requests_that_were_left_leave_nothing_behind(gateway: GatewayProcess, simulator: SimulatorProcess) -> None:
    model = "sim-tokens100k-rate50-prompt_tokens1040"

    def storm() -> None:
        before = simulator.stats(model)["aborted"]
        connections = [Connection(gateway.address) for _ in range(40)]
        for number, connection in enumerate(connections):
            connection.request("POST", CHAT, chat_body(model, stream=number % 2 == 0))
        simulator.wait_until("active", 40, model)
        for connection in connections:
            connection.reset()
        simulator.wait_until("aborted", before + 40, model)
        wait_for(lambda: in_flight(gateway) == 0, "no request in flight")

    storm()
    descriptors = gateway.fds()
    for _ in range(3):
        storm()
    wait_for(lambda: gateway.fds() <= descriptors, "descriptors to be given back")
    assert ask(gateway.address, "sim-tokens1").status == 200


def test_the_log_tells_of_a_client_that_left(gateway: GatewayProcess, simulator: SimulatorProcess) -> None:
    model = "sim-stall_head-prompt_tokens1050"
    with Connection(gateway.address) as connection:
        connection.request("POST", CHAT, chat_body(model, stream=True), {"x-request-id": "left-early"})
        simulator.wait_until("active", 1, model)
    lines = wait_for(
        lambda: [line for line in gateway.log_lines() if line.get("request_id") == "left-early"],
        "the line of the request",
    )
    assert [(line["status"], line["outcome"]) for line in lines] == [(499, "abandoned")]

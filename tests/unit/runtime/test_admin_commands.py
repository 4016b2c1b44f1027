"""`gateway endpoints`, `drain` and `enable` say how things stand, and what came of it."""

import json
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.runtime.admin_commands import set_rotation, show_endpoints
from gateway.runtime.control_socket import open_control_socket


class Control:
    """Stands in for a gateway: answers one request, and keeps it."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "gateway.yaml"
        self.asked = b""
        self.threads: list[threading.Thread] = []

    def answer(self, status: int, document: object) -> Path:
        listener = open_control_socket(self.config)
        listener.setblocking(True)
        body = json.dumps(document).encode()

        def serve() -> None:
            with listener, listener.accept()[0] as client:
                client.settimeout(5)
                while not self.asked.endswith(b"}" if self.asked.startswith(b"POST") else b"\r\n\r\n"):
                    self.asked += client.recv(10_000)
                client.sendall(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body)

        self.threads.append(threading.Thread(target=serve))
        self.threads[-1].start()
        return self.config


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Iterator[Control]:
    with tempfile.TemporaryDirectory(prefix="g") as folder:
        monkeypatch.setattr(tempfile, "gettempdir", lambda: folder)
        one = Control(Path(folder))
        yield one
        for thread in one.threads:
            thread.join()


def endpoint(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "endpoint": name,
        "provider": name.partition("/")[0],
        "model": name.partition("/")[2],
        "pools": ["main"],
        "state": "closed",
        "retry_in_s": 0.0,
        "in_flight": 0,
        "first_token_s": None,
        "answer_s": None,
        "error_rate": None,
        "attempts": 0,
        "failures": 0,
        "is_drained": False,
        "is_healthy": True,
        "key_refused": False,
        "resting_s": 0.0,
        **fields,
    }


PAGE = {
    "endpoints": [
        endpoint("web/big", in_flight=3, first_token_s=0.1234, answer_s=2.5, error_rate=0.0123),
        endpoint("web/big#2", state="open", retry_in_s=12.3, pools=["main", "spare"]),
        endpoint("own/tiny", pools=[], is_drained=True, key_refused=True, is_healthy=False, resting_s=4.0),
        endpoint("own/t", state="half_open"),
    ],
    "pools": [
        {"pool": "main", "in_flight": 3, "waiting": 1, "max_inflight": 8},
        {"pool": "spare", "in_flight": 0, "waiting": 0, "max_inflight": None},
    ],
}


def test_the_table_says_who_is_asked_and_why_the_others_are_not(
    control: Control, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show_endpoints(control.answer(200, PAGE), as_json=False) == 0
    assert control.asked.startswith(b"GET /admin/endpoints HTTP/1.1\r\n")
    assert capsys.readouterr().out.splitlines() == [
        "endpoint   state                                         in flight  first token  answer   errors  pools",
        "web/big    ok                                            3          123 ms       2500 ms  1.2%    main",
        "web/big#2  open, 12 s                                    0          –            –        –       main, spare",
        "own/tiny   drained; key refused; unhealthy; resting 4 s  0          –            –        –       –",
        "own/t      half-open                                     0          –            –        –       main",
        "",
        "pool   in flight  limit  waiting",
        "main   3          8      1",
        "spare  0          –      0",
    ]


def test_without_anything_there_are_the_heads(control: Control, capsys: pytest.CaptureFixture[str]) -> None:
    assert show_endpoints(control.answer(200, {"endpoints": [], "pools": []}), as_json=False) == 0
    assert capsys.readouterr().out == "endpoint  state  in flight  first token  answer  errors  pools\n"


def test_as_json_nothing_is_left_out(control: Control, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["endpoints", "--json", "--config", str(control.answer(200, PAGE))]) == 0
    assert json.loads(capsys.readouterr().out) == PAGE


@pytest.mark.parametrize(("what", "done"), [("drain", "drained"), ("enable", "enabled")])
def test_each_endpoint_that_was_turned_is_named(
    control: Control, capsys: pytest.CaptureFixture[str], what: str, done: str
) -> None:
    outcome = {"endpoints": ["web/big", "web/big#2"], "active": 2, "workers": 2}
    assert main([what, "web", "--config", str(control.answer(200, outcome))]) == 0
    assert control.asked.startswith(f"POST /admin/endpoints/{what} HTTP/1.1\r\n".encode())
    assert control.asked.endswith(b'\r\n\r\n{"endpoint": "web"}')
    assert capsys.readouterr().out.splitlines() == [
        f"{done} web/big on 2 of 2 workers",
        f"{done} web/big#2 on 2 of 2 workers",
    ]


def test_a_refusal_is_told_in_its_own_words(control: Control, capsys: pytest.CaptureFixture[str]) -> None:
    error = {"message": "there is no endpoint or provider 'wob'; did you mean 'web'?", "code": "not_found"}
    assert set_rotation(control.answer(404, {"error": error}), "drain", "wob") == 1
    assert capsys.readouterr() == ("", f"{error['message']}\n")


@pytest.mark.parametrize("document", [["no", "page"], {"error": "x"}, {}])
def test_an_answer_that_is_none_is_a_failure(
    control: Control, capsys: pytest.CaptureFixture[str], document: object
) -> None:
    assert show_endpoints(control.answer(500, document), as_json=False) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_without_a_gateway_there_is_nothing_to_see(control: Control, capsys: pytest.CaptureFixture[str]) -> None:
    assert show_endpoints(control.config, as_json=True) == 1
    assert set_rotation(control.config, "enable", "web") == 1
    assert capsys.readouterr().err == f"{control.config}: no gateway is running with this file\n" * 2

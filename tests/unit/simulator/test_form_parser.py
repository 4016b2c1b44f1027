"""Forms, taken piece by piece over real sockets."""

import time
from hashlib import sha256

import pytest

from tests.support.http import Connection, fetch, request_bytes
from tests.support.multipart import FORM, form
from tests.support.simulator import SimulatorProcess
from tests.support.waiting import wait_for

TRANSCRIPTIONS = "/v1/audio/transcriptions"


def test_a_form_is_told_back_by_length_and_digest(simulator: SimulatorProcess) -> None:
    content = bytes(range(256)) * 999
    body = fetch(simulator.address, TRANSCRIPTIONS, form({"model": "sim", "language": "en"}, content), FORM).json()
    assert body["form"] == [["model", "sim"], ["language", "en"]]
    [file] = body["files"]
    assert (file["field"], file["name"], file["content_type"], file["size_bytes"]) == (
        "file",
        "a.wav",
        "audio/wav",
        255744,
    )
    assert file["sha256"] == sha256(content).hexdigest()


def test_a_forms_model_behaves(simulator: SimulatorProcess) -> None:
    assert fetch(simulator.address, TRANSCRIPTIONS, form({"model": "sim-error503"}, b"x"), FORM).status == 503
    assert fetch(simulator.address, TRANSCRIPTIONS, form({"model": "sim-tokenz"}, b"x"), FORM).status == 404


def test_files_are_taken_as_slowly_as_told(simulator: SimulatorProcess) -> None:
    began = time.monotonic()
    assert (
        fetch(simulator.address, TRANSCRIPTIONS, form({"model": "sim-intake200k"}, bytes(40_000)), FORM).status == 200
    )
    assert time.monotonic() - began >= 0.19


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"{}", {"content-type": "application/json"}),
        (b"no form", FORM),
        (form({"model": "sim"}, b"x").replace(b'; filename="a.wav"', b""), FORM),
    ],
)
def test_anything_else_is_refused(simulator: SimulatorProcess, body: bytes, headers: dict[str, str]) -> None:
    answer = fetch(simulator.address, TRANSCRIPTIONS, body, headers)
    assert answer.status == 400 and answer.error()["code"] == "invalid_request"


def test_a_client_that_leaves_while_it_uploads_harms_nobody(simulator: SimulatorProcess) -> None:
    whole = request_bytes("POST", TRANSCRIPTIONS, form({"model": "sim-intake1k"}, bytes(100_000)), FORM)
    with Connection(simulator.address) as connection:
        connection.send(whole[:50_000])
    wait_for(lambda: fetch(simulator.address, "/health").status == 200, "the simulator")

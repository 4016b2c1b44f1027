"""Files that are uploaded, told about, given back and removed."""

from gateway.simulator.files import FileContent, Form, Upload
from tests.support.http import Connection, fetch, request_bytes
from tests.support.multipart import FORM, form
from tests.support.simulator import SimulatorProcess


def test_an_uploaded_file_keeps_its_length_in_its_id(simulator: SimulatorProcess) -> None:
    file = fetch(simulator.address, "/v1/files", form({"purpose": "batch"}, bytes(1234), "in.jsonl"), FORM).json()
    assert (file["bytes"], file["filename"], file["purpose"]) == (1234, "in.jsonl", "batch")
    assert fetch(simulator.address, f"/v1/files/{file['id']}").json()["bytes"] == 1234
    assert len(fetch(simulator.address, f"/v1/files/{file['id']}/content").body) == 1234


def test_an_id_that_is_a_behaviour_is_a_stream(simulator: SimulatorProcess) -> None:
    assert len(fetch(simulator.address, "/v1/files/sim-tokens4-bytes10k/content").body) == 40_000
    assert fetch(simulator.address, "/v1/files/sim-error503/content").status == 503
    assert fetch(simulator.address, "/v1/files/unknown").json()["bytes"] == 16 * 1024


def test_a_file_can_be_removed(simulator: SimulatorProcess) -> None:
    with Connection(simulator.address) as connection:
        connection.send(request_bytes("DELETE", "/v1/files/file-sim-1-5", None))
        assert connection.read_answer().json() == {"id": "file-sim-1-5", "object": "file", "deleted": True}


def test_a_form_gives_its_texts() -> None:
    read = Form((("a", "1"),), (Upload("file", "x", "a/b", 3, "00"),))
    assert (read.text("a"), read.text("b")) == ("1", "")
    assert read.files[0].as_dict()["size_bytes"] == 3
    assert FileContent.read_request(b"", {"id": "file-sim-1-5"}).model == "sim"

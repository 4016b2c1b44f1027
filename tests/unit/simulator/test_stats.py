"""The simulator's memory."""

import base64

from gateway.simulator.stats import MAX_MODELS, Stats


def test_a_request_is_counted_in_all_and_for_its_model() -> None:
    stats = Stats()
    stats.record_request("a", [], b"", "/x")
    stats.record_request("b", [], b"", "/x")
    assert (stats.total.requests, stats.total.active) == (2, 2)
    assert (stats.models["a"].requests, stats.models["b"].requests) == (1, 1)


def test_requests_are_kept_only_when_recording() -> None:
    forgetful, recording = Stats(), Stats(is_recording=True)
    for stats in (forgetful, recording):
        stats.record_request("a", [(b"X-Key", b"caf\xe9")], b"\x00body", "/x")
    assert forgetful.total.last_request is None
    assert recording.models["a"].last_request == recording.total.last_request
    assert recording.total.last_request == {
        "headers": [["X-Key", "café"]],
        "body_base64": base64.b64encode(b"\x00body").decode(),
    }


def test_the_oldest_model_is_forgotten_beyond_the_bound() -> None:
    stats = Stats()
    for number in range(MAX_MODELS + 1):
        stats.record_request(str(number), [], b"", "/x")
    assert len(stats.models) == MAX_MODELS
    assert "0" not in stats.models and str(MAX_MODELS) in stats.models
    assert stats.total.requests == MAX_MODELS + 1
    assert len(stats.calls) == MAX_MODELS and ("/x", "0") not in stats.calls


def test_calls_are_told_by_path_and_model_with_their_inputs() -> None:
    stats = Stats()
    for path, inputs in (("/x", 3), ("/x", 5), ("/y", 1)):
        stats.record_request("a", [], b"", path, inputs)
    assert stats.calls_by_path() == {
        "/x": {"a": {"calls": 2, "inputs": 8, "largest": 5}},
        "/y": {"a": {"calls": 1, "inputs": 1, "largest": 1}},
    }

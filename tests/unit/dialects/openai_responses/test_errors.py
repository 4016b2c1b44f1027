"""Errors in streams."""

import json

from gateway.core.errors import ModelNotFound
from gateway.dialects.openai_responses import encode_error_event


def test_an_error_event_is_read_by_who_knows_either_shape() -> None:
    written = encode_error_event(ModelNotFound("no such model", param="model"))
    assert written.startswith(b"event: error\ndata: ") and written.endswith(b"\n\n")
    reported = json.loads(written.partition(b"data: ")[2])
    flat = {"type": "error", "sequence_number": 0, "message": "no such model", "param": "model"}
    assert {**flat, "code": "model_not_found"}.items() <= reported.items()
    assert reported["error"]["code"] == "model_not_found" and reported["error"]["type"] == "invalid_request_error"

"""Errors of the gateway in OpenAI's format."""

import json

from gateway.core.errors import ModelNotFound
from gateway.dialects import openai_chat


def test_errors_have_the_shape_that_the_clients_know() -> None:
    error = ModelNotFound('there is no "m"', param="model")
    body = openai_chat.encode_error(error)
    assert json.loads(body) == {
        "error": {
            "message": 'there is no "m"',
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }
    }
    event = openai_chat.encode_error_event(ModelNotFound("line\nbreak\r\n\u2028"))
    assert event.startswith(b"data: {") and event.endswith(b"}\n\n")
    assert event.count(b"\n") == 2 and b"\r" not in event

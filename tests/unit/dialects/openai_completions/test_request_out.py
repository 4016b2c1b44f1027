"""Requests for a provider that speaks the dialect."""

import json
from typing import Any

from gateway.core.chat import ChatRequest
from gateway.dialects.openai_completions import decode_request, encode_request


def given_request(**fields: Any) -> ChatRequest:
    body = {"model": "m", "prompt": "x", **fields}
    return decode_request(json.dumps({name: value for name, value in body.items() if value is not ...}).encode())


def test_bytes_pass_untouched_but_for_the_models_name_and_the_wish_for_usage() -> None:
    body = b'{ "prompt" : ["x","y"] , "model":"m", "suffix":"z", "echo":true, "best_of":2}'
    assert encode_request(decode_request(body), "m") == body
    streamed = json.loads(encode_request(given_request(stream=True, suffix="z"), "other"))
    assert streamed == {
        "model": "other",
        "prompt": "x",
        "stream": True,
        "suffix": "z",
        "stream_options": {"include_usage": True},
    }

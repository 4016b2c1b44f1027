"""Errors of providers, both ways."""

import json

import pytest

from gateway.core.errors import ContextTooLong, Overloaded
from gateway.core.provider_error import TOO_LONG, ProviderError
from gateway.dialects.anthropic_messages.errors import (
    encode_error,
    encode_error_event,
    encode_provider_error,
    error_type,
    mark_too_long,
)


def test_a_prompt_that_is_too_long_is_said_in_the_words_that_clients_look_for() -> None:
    for words in ("5 > 4", "prompt is too long: 5 > 4"):
        error = json.loads(encode_provider_error(ProviderError(words, code=TOO_LONG), 400))["error"]
        assert error == {"type": "invalid_request_error", "message": "prompt is too long: 5 > 4"}


def test_the_gateways_own_words_for_it_are_those_too() -> None:
    error = ContextTooLong("the request is too long", status=400, body=b"", content_type="")
    assert json.loads(encode_error(error))["error"]["message"] == "prompt is too long: the request is too long"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            b'{"type":"error","error":{"type":"t","message":"context 4"},"request_id":"r"}',
            "prompt is too long: context 4",
        ),
        (b'{"detail":"context 4"}', "prompt is too long: context 4"),
        (
            b'{"type":"error","error":{"type":"t","message":"prompt is too long: 5"},"request_id":"r"}',
            "prompt is too long: 5",
        ),
    ],
)
def test_they_are_added_to_a_body_of_the_same_dialect(body: bytes, message: str) -> None:
    document = json.loads(mark_too_long(body, 400))
    assert document["error"]["message"] == message and document["type"] == "error"
    assert document.get("request_id") == json.loads(body).get("request_id")


def test_an_error_holds_the_id_of_its_request() -> None:
    error = Overloaded("full")
    assert "request_id" not in json.loads(encode_error(error))
    error.request_id = "r-1"
    assert json.loads(encode_error(error))["request_id"] == "r-1"
    assert json.loads(encode_error_event(error).partition(b"data: ")[2])["request_id"] == "r-1"
    assert json.loads(encode_provider_error(ProviderError("m"), 400, "r-2"))["request_id"] == "r-2"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (418, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_a_status_has_its_type(status: int, kind: str) -> None:
    assert error_type(status) == kind

"""Errors of providers, both ways."""

import json

import pytest

from gateway.core.provider_error import TOO_LONG, ProviderError
from gateway.dialects.openai_chat.errors import encode_provider_error, mark_too_long


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request_error"), (401, "authentication_error"), (429, "rate_limit_error"), (500, "server_error")],
)
def test_errors_of_others_get_this_shape(status: int, kind: str) -> None:
    error = json.loads(encode_provider_error(ProviderError("m", "odd", "c", "p"), status))["error"]
    assert error == {"message": "m", "type": kind, "param": "p", "code": "c"}


def test_a_prompt_that_is_too_long_is_said_in_the_words_and_with_the_code_that_clients_look_for() -> None:
    for words, message in (
        ("5 > 4", "this model's maximum context length is exceeded: 5 > 4"),
        ("prompt is too long: 5 > 4", "prompt is too long: 5 > 4"),
        ("This model's maximum context length is 4", "This model's maximum context length is 4"),
    ):
        error = json.loads(encode_provider_error(ProviderError(words, code=TOO_LONG), 400))["error"]
        assert (error["message"], error["code"]) == (message, TOO_LONG)


@pytest.mark.parametrize(
    ("body", "code", "member"),
    [
        (b'{"error":{"message":"m","code":400,"type":"exceed_context_size_error","n_ctx":8}}', TOO_LONG, "n_ctx"),
        (b'{"error":{"message":"m","code":null,"param":"messages"}}', TOO_LONG, "param"),
        (b'{"object":"error","message":"m","code":400}', TOO_LONG, "message"),
        (b'{"detail":"m"}', TOO_LONG, "message"),
        (b'[{"error":{"code":400,"message":"m"}}]', TOO_LONG, "message"),
        (b"plain", TOO_LONG, "message"),
    ],
)
def test_the_code_is_added_to_a_body_of_the_same_dialect(body: bytes, code: str, member: str) -> None:
    error = json.loads(mark_too_long(body, 400))["error"]
    assert error["code"] == code and error[member]


def test_a_body_that_has_the_code_is_left_as_it_is() -> None:
    body = b'{ "error": {"message":"m", "code":"context_length_exceeded"}}'
    assert mark_too_long(body, 400) is body
    assert mark_too_long(b"<html>", 400) == b"<html>"

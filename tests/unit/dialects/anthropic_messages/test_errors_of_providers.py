"""Errors of providers, both ways."""

import json

import pytest

from gateway.dialects.anthropic_messages.errors import encode_provider_error, error_type, read_provider_error
from gateway.dialects.base import TOO_LONG, ProviderError


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"type":"error","error":{"type":"t","message":"m"}}', ProviderError("m", "t")),
        (
            b'{"error":{"message":"prompt is too long: 5 > 4"}}',
            ProviderError("prompt is too long: 5 > 4", None, TOO_LONG),
        ),
        (b"{}", None),
        (b"<html>", None),
    ],
)
def test_errors_are_read(body: bytes, expected: ProviderError | None) -> None:
    assert read_provider_error(body) == expected


def test_a_prompt_that_is_too_long_is_said_in_the_words_that_clients_look_for() -> None:
    for words in ("5 > 4", "prompt is too long: 5 > 4"):
        error = json.loads(encode_provider_error(ProviderError(words, code=TOO_LONG), 400))["error"]
        assert error == {"type": "invalid_request_error", "message": "prompt is too long: 5 > 4"}


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

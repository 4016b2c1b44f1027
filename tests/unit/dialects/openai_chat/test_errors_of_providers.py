"""Errors of providers, both ways."""

import json

import pytest

from gateway.dialects.base import ProviderError
from gateway.dialects.openai_chat.errors import encode_provider_error, read_provider_error


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error":{"message":"m","type":"t","param":"p","code":"c"}}', ProviderError("m", "t", "c", "p")),
        (b'{"error":{"message":"m","code":400}}', ProviderError("m", code="400")),
        (
            b'{"error":{"message":"m","code":400,"type":"exceed_context_size_error"}}',
            ProviderError("m", "exceed_context_size_error", "context_length_exceeded"),
        ),
        (b'{"error":"m"}', ProviderError("m")),
        (b'{"message":"m"}', ProviderError("m")),
        (b"{}", None),
        (b"<html>", None),
        (b'{"error":5}', None),
    ],
)
def test_errors_are_read_in_every_shape(body: bytes, expected: ProviderError | None) -> None:
    assert read_provider_error(body) == expected


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request_error"), (401, "authentication_error"), (429, "rate_limit_error"), (500, "server_error")],
)
def test_errors_of_others_get_this_shape(status: int, kind: str) -> None:
    error = json.loads(encode_provider_error(ProviderError("m", "odd", "c", "p"), status))["error"]
    assert error == {"message": "m", "type": kind, "param": "p", "code": "c"}

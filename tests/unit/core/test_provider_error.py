"""Errors of providers are read in every shape."""

import json
from typing import Any

import pytest

from gateway.core.provider_error import ProviderError, provider_words, read_provider_error


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            {"error": {"message": "m", "type": "t", "param": "p", "code": "C"}},
            ProviderError("m", "t", "C", "p", ("c", "t")),
        ),
        ({"error": {"message": "m", "code": 400}}, ProviderError("m", None, "400", None, ("400",))),
        (
            {"type": "error", "error": {"type": "t", "message": "m"}},
            ProviderError("m", "t", None, None, ("t", "error")),
        ),
        ({"error": "m"}, ProviderError("m")),
        ({"message": "m"}, ProviderError("m")),
        ({"detail": "m"}, ProviderError("m")),
        (
            {"detail": [{"loc": ["body", "messages", 0], "msg": "m"}, {"msg": "n"}]},
            ProviderError("body.messages.0: m; n"),
        ),
        ([{"error": {"message": "m"}}], ProviderError("m")),
        (["m"], ProviderError("m")),
        ({"object": "error", "message": {"detail": [{"msg": "m"}]}}, ProviderError("m")),
        ({"code": "c", "error": "m"}, ProviderError("m", None, "c", None, ("c",))),
        ({"base_resp": {"status_code": 1004, "status_msg": "m"}}, ProviderError("m", None, None, None, ("1004",))),
        ({"errors": [{"message": "m"}]}, ProviderError("m")),
        ({"error_code": 17, "error_msg": "m"}, ProviderError("m", None, None, None, ("17",))),
        ({"error": {"message": "m", "param": ["tools", 0]}}, ProviderError("m", None, None, "tools.0")),
        ({"error": {"message": "m", "type": 7}}, ProviderError("m", "7", None, None, ("7",))),
        ({"error": {"message": ["m", "n"]}}, ProviderError("m; n")),
        ({"error": {"code": "c"}}, ProviderError("c", None, "c", None, ("c",))),
        (
            {"error": {"message": "relay", "metadata": {"raw": '{"error":{"message":"m","code":"c"}}'}}},
            ProviderError("relay: m", None, None, None, ("c",)),
        ),
        ({"error": {"message": "relay", "metadata": {"raw": "m"}}}, ProviderError("relay: m")),
        (b"m is plain", ProviderError("m is plain")),
        ({}, None),
        ([], None),
        (5, None),
        ({"error": 5}, None),
        ({"error": None}, None),
        ({"error": ""}, None),
        (b"<html>", None),
        (b'{"error": {"mess', None),
        (b"\xff", None),
        (b"", None),
    ],
)
def test_errors_are_read_in_every_shape(document: Any, expected: ProviderError | None) -> None:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    assert read_provider_error(body) == expected


@pytest.mark.parametrize(
    "document",
    [
        {"detail": {"detail": {"detail": {"detail": {"detail": {"detail": "m"}}}}}},
        {"error": {"metadata": {"raw": json.dumps({"error": {"metadata": {"raw": "{" * 1000}}})}}},
        {"error": {"message": {"a": 1}, "code": [1], "type": {}, "param": {}, "details": 1, "innererror": 1}},
    ],
)
def test_no_shape_is_too_odd(document: Any) -> None:
    assert provider_words(read_provider_error(json.dumps(document).encode())) == ""

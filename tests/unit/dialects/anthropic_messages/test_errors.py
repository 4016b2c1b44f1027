"""Errors of the gateway in Anthropic's format."""

import json
from typing import Any

import pytest

from gateway.core.errors import NoCapacity, Unauthenticated
from gateway.dialects import BY_NAME
from gateway.dialects import anthropic_messages as dialect


@pytest.mark.parametrize(
    ("error", "kind"),
    [(Unauthenticated("no key"), "authentication_error"), (NoCapacity("full"), "overloaded_error")],
)
def test_errors_have_the_shape_that_clients_know(error: Any, kind: str) -> None:
    expected = {"type": "error", "error": {"type": kind, "message": error.message}}
    assert json.loads(dialect.encode_error(error)) == expected
    assert dialect.encode_error_event(error) == b"event: error\ndata: " + dialect.encode_error(error) + b"\n\n"


def test_it_is_found_by_its_name() -> None:
    assert BY_NAME["anthropic_messages"] is dialect

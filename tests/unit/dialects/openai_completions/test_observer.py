"""The kinds of events."""

import json
from typing import Any

import pytest

from gateway.core.errors import ProtocolError, Unavailable
from gateway.core.exchange import Meter
from gateway.dialects.openai_completions import read_stream


def chunk(text: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "text": text, "finish_reason": finish}
    return b"data: %b\n\n" % json.dumps({"id": "c", "model": "m", "created": 7, "choices": [choice], **more}).encode()


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (b": comment\n\n", "prelude"),
        (b"data: \n\n", "prelude"),
        (chunk(""), "prelude"),
        (b'data: {"choices":[]}\n\n', "prelude"),
        (chunk("a"), "content"),
        (chunk("", "stop"), "content"),
    ],
)
def test_content_begins_with_the_first_text(given: bytes, kind: str) -> None:
    assert read_stream(Meter(), hides_usage=False, choices=1).kind(given) == kind


def test_what_is_no_completion_or_reports_an_error_is_an_error() -> None:
    for given, error in ((b"data: x\n\n", ProtocolError), (b'data: {"error":{"message":"x"}}\n\n', Unavailable)):
        with pytest.raises(error):
            read_stream(Meter(), hides_usage=False, choices=1).kind(given)

"""Usage of unstreamed answers."""

import pytest

from gateway.core.errors import ProtocolError, Unavailable
from gateway.core.usage import Usage
from gateway.dialects.openai_responses import read_answer


def test_the_usage_of_an_answer_is_read() -> None:
    assert read_answer(b'{"object":"response","output":[],"usage":{"input_tokens":5,"output_tokens":2}}') == Usage(
        5, output=2
    )
    assert read_answer(b'{"output":[],"status":"incomplete"}') is None
    assert read_answer(b'{"output":[],"status":"queued","error":null}') is None


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<html>", ProtocolError),
        (b"{}", ProtocolError),
        (b'{"choices":[]}', ProtocolError),
        (b'{"error":{"message":"x"}}', Unavailable),
        (b'{"output":[],"status":"failed"}', Unavailable),
    ],
)
def test_what_is_no_answer_is_an_error(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_answer(body)

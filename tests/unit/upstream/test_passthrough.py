"""The tap that books what a passed-through response says it used."""

import pytest

from gateway.accounting.passthrough_usage import COPY_LIMIT
from gateway.config.spec import ModelSpec, PriceSpec
from gateway.core.exchange import AttemptRecord
from gateway.core.usage import Usage
from gateway.upstream.passthrough import UsageReader

MODELS = {"ranker": ModelSpec("ranker", "p", "rank-1", PriceSpec(2, 0), quality=0.5)}
BODY = b'{"model": "rank-1", "usage": {"total_tokens": 12}}'


def booked(*parts: bytes, is_whole: bool = True) -> tuple[str, Usage | None]:
    """Give what is booked for a response that came in these parts."""
    record = AttemptRecord("p/-", 0.0, provider="p")
    reader = UsageReader(record, MODELS)
    for part in parts:
        reader.feed(part)
    if is_whole:
        reader.finish()
    return record.model, record.usage


def test_usage_of_a_model_with_a_price_is_booked_however_the_body_is_cut() -> None:
    for cut in range(len(BODY) + 1):
        assert booked(BODY[:cut], BODY[cut:]) == ("ranker", Usage(input=12))


def test_a_response_that_was_not_sent_whole_books_nothing() -> None:
    assert booked(BODY, is_whole=False) == ("", None)


@pytest.mark.parametrize(("size", "is_read"), [(COPY_LIMIT, True), (COPY_LIMIT + 1, False)])
def test_a_body_is_copied_up_to_the_limit(size: int, is_read: bool) -> None:
    padded = BODY[:-1] + b" " * (size - len(BODY)) + b"}"
    assert booked(padded[:100], padded[100:]) == (("ranker", Usage(input=12)) if is_read else ("", None))

"""Errors as values: one failure for several requests."""

import pytest

from gateway.core.errors import Rejected, Unavailable, UpstreamError, UpstreamRateLimited, UpstreamTimeout
from gateway.core.faults import Fault


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("down", status=503, retry_after_s=2.0),
        Unavailable("cut", fault=Fault.CUT),
        UpstreamRateLimited("slow down", retry_after_s=1.0),
        UpstreamTimeout("late", code="answer_timeout"),
        Rejected("no", status=404, body=b"{}", content_type="application/json"),
    ],
)
def test_an_echo_says_the_same_and_hurts_no_breaker(error: UpstreamError) -> None:
    error.upstream_status = 503
    echo = error.echo()
    assert type(echo) is type(error) and echo is not error
    assert vars(echo) == {**vars(error), "is_echo": True}
    assert (str(echo), echo.effect, echo.is_retryable) == (str(error), error.effect, error.is_retryable)
    assert not echo.hurts_breaker
    assert not error.is_echo and error.hurts_breaker == error.effect.hurts_breaker

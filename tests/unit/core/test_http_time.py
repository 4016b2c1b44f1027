"""Every form of a time in a header, and what is none."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.http_time import (
    format_duration,
    format_rfc_3339,
    parse_duration_s,
    parse_http_date,
    parse_number,
    parse_reset_s,
    parse_rfc_3339,
    response_time,
)

MOMENT = datetime(2026, 10, 21, 7, 28, tzinfo=UTC)
WALL_S = MOMENT.timestamp()


@pytest.mark.parametrize(
    "value",
    [b"Wed, 21 Oct 2026 07:28:00 GMT", b"Wednesday, 21-Oct-26 07:28:00 GMT", b"Wed Oct 21 07:28:00 2026"],
)
def test_an_http_date_has_three_forms(value: bytes) -> None:
    assert parse_http_date(value, WALL_S) == parse_http_date(value, None) == MOMENT


@pytest.mark.parametrize("value", [b"", b"21 Oct 2026 07:28:00 GMT", b"Wed, 21 Oct 2026 07:28:00 CET", b"\xff"])
def test_anything_else_is_no_http_date(value: bytes) -> None:
    assert parse_http_date(value, WALL_S) is None


def test_a_response_has_its_own_time_or_else_the_gateway_s() -> None:
    dated = {b"date": b"Wed, 21 Oct 2026 07:28:00 GMT"}
    assert response_time(dated, 0.0) == response_time({}, WALL_S) == MOMENT
    assert response_time({b"date": b"yesterday"}, WALL_S) == MOMENT
    assert response_time({}, None) is None


def test_the_table_of_forms_is_true() -> None:
    assert parse_number(b"1.5") == 1.5 and parse_number(b"-1") is None
    assert parse_duration_s(b"6m0s") == 360.0 and parse_duration_s(b"30") is None
    assert parse_rfc_3339(b"2026-10-21T07:28:00Z") == MOMENT and parse_rfc_3339(b"2026-10-21") is None
    for value in (b"30", b"30s", b"2026-10-21T07:28:30Z", b"1792567710", b"1792567710000"):
        assert parse_reset_s(value, MOMENT) == 30.0


def test_times_are_rounded_up_where_they_are_written() -> None:
    assert (format_duration(0.0201), format_duration(360.0), format_duration(7201.5)) == (b"21ms", b"6m0s", b"2h0m1.5s")
    assert format_rfc_3339(WALL_S - 0.5) == b"2026-10-21T07:28:00Z"


@given(st.floats(0, 366 * 86400.0))
def test_a_duration_that_was_written_is_read_back(duration_s: float) -> None:
    found = parse_duration_s(format_duration(duration_s))
    assert found is not None and duration_s - 1e-6 <= found <= duration_s + 0.0011


@given(st.binary(max_size=100))
def test_nothing_raises(value: bytes) -> None:
    for parse in (parse_number, parse_duration_s, parse_rfc_3339):
        parse(value)
    parse_http_date(value, WALL_S)
    parse_reset_s(value, MOMENT)
